-- value, of an exposure: what the app showed; NULL if the app did not say, which means the device's own value.
ALTER TABLE event ADD COLUMN value TEXT;

-- own: 1 if the device showed its own value, 0 if it showed another one. A device that did both has both rows.
CREATE TABLE exposed_to (
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  device_id INTEGER NOT NULL REFERENCES device,
  own INTEGER NOT NULL CHECK (own IN (0, 1)),
  PRIMARY KEY (experiment_id, device_id, own)
) WITHOUT ROWID, STRICT;
INSERT INTO exposed_to SELECT experiment_id, device_id, 1 FROM exposed ORDER BY 1, 2;
DROP TABLE exposed;
ALTER TABLE exposed_to RENAME TO exposed;

-- showed_other: devices by the day on which they first reported that they showed another value than their own.
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

-- The results do not say how many devices showed another value, so the worker writes them anew.
DELETE FROM summary_result;
