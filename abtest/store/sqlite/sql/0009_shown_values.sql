-- value: what the app showed, of an exposure; NULL where the app does not say, and then it was the device's own.
ALTER TABLE event ADD COLUMN value TEXT;

-- own: 1 when the device showed its own value, 0 when it showed another one. One that did both has both rows.
CREATE TABLE exposed_to (
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  device_id INTEGER NOT NULL REFERENCES device,
  own INTEGER NOT NULL CHECK (own IN (0, 1)),
  PRIMARY KEY (experiment_id, device_id, own)
) WITHOUT ROWID, STRICT;
INSERT INTO exposed_to SELECT experiment_id, device_id, 1 FROM exposed ORDER BY 1, 2;
DROP TABLE exposed;
ALTER TABLE exposed_to RENAME TO exposed;

-- showed_other: devices by the day on which they first told that they showed another value than their own.
ALTER TABLE summary_day ADD COLUMN showed_other INTEGER NOT NULL DEFAULT 0;

DROP VIEW counted_exposure;
CREATE VIEW counted_exposure AS
SELECT event.id AS event_id, assignment.experiment_id, event.device_id, assignment.phase_id, assignment.variant_id,
  event.received_at, event.value AS shown, variant.value AS own, experiment.type
FROM event
CROSS JOIN experiment ON experiment.key = event.experiment
CROSS JOIN assignment ON assignment.device_id = event.device_id AND assignment.experiment_id = experiment.id
CROSS JOIN variant ON variant.id = assignment.variant_id
WHERE event.name = 'exposure' AND assignment.position IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM status_change
  WHERE status_change.experiment_id = experiment.id AND status IN ('finished', 'archived')
    AND after_event < event.id
);

-- What was concluded does not say who showed another value: it is concluded anew.
DELETE FROM summary_result;
