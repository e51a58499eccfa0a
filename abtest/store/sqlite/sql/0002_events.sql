-- Events as apps sent them, in the order in which they were stored. Of two with the same id, the first stays.
-- amount: whole units of 1/10000. at: when the event happened, if the device said so. received_at: when it came here.
CREATE TABLE event (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  device_id INTEGER NOT NULL REFERENCES device,
  event_id TEXT NOT NULL,
  name TEXT NOT NULL,
  experiment TEXT,
  amount INTEGER,
  at INTEGER,
  received_at INTEGER NOT NULL,
  UNIQUE (device_id, event_id)
) STRICT;

-- Counts of what leaves no row: events that came again, events of unknown devices, erasures.
INSERT INTO meta VALUES ('duplicate_events', 0), ('unknown_device_events', 0), ('erasures', 0);

-- Events up to after_event came before the change. That decides whether they count.
ALTER TABLE status_change ADD COLUMN after_event INTEGER NOT NULL DEFAULT 0;

-- What an experiment is judged by. place: 0 for the primary metric; NULL for a metric that was removed, whose figures
-- stay and go on when it is put back. watermark: the last event that is folded in.
CREATE TABLE metric (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  place INTEGER,
  kind TEXT NOT NULL CHECK (kind IN ('conversion', 'amount')),
  event TEXT NOT NULL,
  window_days INTEGER,
  watermark INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX metric_experiment ON metric (experiment_id, place);
CREATE INDEX metric_event ON metric (event, watermark);

INSERT INTO metric (experiment_id, place, kind, event)
SELECT experiment.id, asked.key, substr(asked.value, 1, instr(asked.value, ':') - 1),
  substr(asked.value, instr(asked.value, ':') + 1)
FROM experiment, json_each(experiment.metrics) AS asked;
ALTER TABLE experiment DROP COLUMN metrics;
ALTER TABLE experiment ADD COLUMN baseline TEXT;
ALTER TABLE experiment ADD COLUMN planned INTEGER;
ALTER TABLE experiment ADD COLUMN primary_changed_at INTEGER;

-- The stats worker writes what follows, and so does forget, which subtracts what the worker had counted.
-- Sums may be larger than 64 bits: sums and squares are texts, and a device's total is a text if it must be.
ALTER TABLE summary ADD COLUMN exposure_watermark INTEGER NOT NULL DEFAULT 0;

CREATE TABLE exposed (
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  device_id INTEGER NOT NULL REFERENCES device,
  PRIMARY KEY (experiment_id, device_id)
) WITHOUT ROWID, STRICT;

CREATE TABLE metric_device (
  metric_id INTEGER NOT NULL REFERENCES metric,
  device_id INTEGER NOT NULL REFERENCES device,
  total ANY NOT NULL,
  PRIMARY KEY (metric_id, device_id)
) WITHOUT ROWID, STRICT;

-- day: days since 1970-01-01 UTC; devices count on the day of their first request, and exposed ones on the day on which
-- their first exposure was received.
CREATE TABLE summary_day (
  phase_id INTEGER NOT NULL REFERENCES phase,
  variant_id INTEGER NOT NULL REFERENCES variant,
  day INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  exposed INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (phase_id, variant_id, day)
) WITHOUT ROWID, STRICT;

INSERT INTO summary_day (phase_id, variant_id, day, devices)
SELECT assignment.phase_id, assignment.variant_id, device.first_seen / 86400000, count(*)
FROM assignment JOIN device ON device.id = assignment.device_id
WHERE assignment.position IS NOT NULL AND device.id <= (SELECT device_watermark FROM summary)
GROUP BY 1, 2, 3;

-- What the events that were received on one day added. The figures of a variant are the sums over the days.
-- lag: the sum of the milliseconds from each event to its receipt. first_at, last_at: the first and last receipt.
CREATE TABLE summary_metric (
  metric_id INTEGER NOT NULL REFERENCES metric,
  phase_id INTEGER NOT NULL REFERENCES phase,
  variant_id INTEGER NOT NULL REFERENCES variant,
  day INTEGER NOT NULL,
  converters INTEGER NOT NULL,
  total TEXT NOT NULL,
  squares TEXT NOT NULL,
  events INTEGER NOT NULL,
  without_amount INTEGER NOT NULL,
  lag INTEGER NOT NULL,
  first_at INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (metric_id, phase_id, variant_id, day)
) WITHOUT ROWID, STRICT;

-- The same events, by the day on which they happened.
CREATE TABLE summary_happened (
  metric_id INTEGER NOT NULL REFERENCES metric,
  day INTEGER NOT NULL,
  events INTEGER NOT NULL,
  PRIMARY KEY (metric_id, day)
) WITHOUT ROWID, STRICT;

-- What the worker concludes from all of it, as the JSON document that pages and programs read.
CREATE TABLE summary_result (
  experiment_id INTEGER PRIMARY KEY REFERENCES experiment,
  document TEXT NOT NULL
) STRICT;

-- The events that count: those before the end of the experiment, of devices that were drawn. A device that only got the
-- winner has no position, and was not drawn.
CREATE VIEW counted_event AS
SELECT event.id AS event_id, metric.id AS metric_id, metric.place, metric.watermark, event.device_id,
  assignment.phase_id, assignment.variant_id, device.first_seen, event.amount, event.at, event.received_at
FROM event
CROSS JOIN metric ON metric.event = event.name
CROSS JOIN assignment
  ON assignment.device_id = event.device_id AND assignment.experiment_id = metric.experiment_id
CROSS JOIN device ON device.id = event.device_id
WHERE assignment.position IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM status_change
  WHERE status_change.experiment_id = metric.experiment_id AND status IN ('finished', 'archived')
    AND after_event < event.id
);

CREATE VIEW counted_exposure AS
SELECT event.id AS event_id, assignment.experiment_id, event.device_id, assignment.phase_id, assignment.variant_id,
  event.received_at
FROM event
CROSS JOIN experiment ON experiment.key = event.experiment
CROSS JOIN assignment ON assignment.device_id = event.device_id AND assignment.experiment_id = experiment.id
WHERE event.name = 'exposure' AND assignment.position IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM status_change
  WHERE status_change.experiment_id = experiment.id AND status IN ('finished', 'archived')
    AND after_event < event.id
);
