-- coverage: the part of the audience that takes part in this phase, above 0 and at most 1, as a decimal text. The other
-- positions give the variant with place -1, which has no value: it is stored, never delivered, and not in the statistics.
ALTER TABLE phase ADD COLUMN coverage TEXT NOT NULL DEFAULT '1';

DROP VIEW counted_event;
CREATE VIEW counted_event AS
SELECT event.id AS event_id, metric.id AS metric_id, metric.place, metric.watermark, event.device_id,
  assignment.phase_id, assignment.variant_id, device.first_seen, event.amount, event.at, event.received_at
FROM event
CROSS JOIN metric ON metric.event = event.name
CROSS JOIN assignment
  ON assignment.device_id = event.device_id AND assignment.experiment_id = metric.experiment_id
CROSS JOIN device ON device.id = event.device_id
WHERE event.device_id NOT IN (SELECT device_id FROM erasing) AND assignment.position IS NOT NULL
  AND assignment.variant_id NOT IN (SELECT id FROM variant WHERE place < 0) AND NOT EXISTS (
  SELECT 1 FROM status_change
  WHERE status_change.experiment_id = metric.experiment_id AND status IN ('finished', 'archived')
    AND after_event < event.id
);

DROP VIEW counted_exposure;
CREATE VIEW counted_exposure AS
SELECT event.id AS event_id, assignment.experiment_id, event.device_id, assignment.phase_id, assignment.variant_id,
  event.received_at, event.value AS shown, variant.value AS own, experiment.type
FROM event
CROSS JOIN experiment ON experiment.key = event.experiment
CROSS JOIN assignment ON assignment.device_id = event.device_id AND assignment.experiment_id = experiment.id
CROSS JOIN variant ON variant.id = assignment.variant_id
WHERE event.name = 'exposure' AND event.device_id NOT IN (SELECT device_id FROM erasing)
  AND assignment.position IS NOT NULL AND variant.place >= 0 AND NOT EXISTS (
  SELECT 1 FROM status_change
  WHERE status_change.experiment_id = experiment.id AND status IN ('finished', 'archived')
    AND after_event < event.id
);
