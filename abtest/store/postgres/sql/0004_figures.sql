-- The stats worker writes what follows, and so does forget, which subtracts what the worker had counted. Whoever writes
-- it has locked the table summary. The watermark is the last device that is folded in; since device ids have no gaps,
-- it is also the number of devices folded in. There are no foreign keys: to check one, the worker would have to lock a
-- row that others have changed since its snapshot, which PostgreSQL refuses.
CREATE TABLE summary (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  device_watermark BIGINT NOT NULL,
  as_of BIGINT,
  exposure_watermark BIGINT NOT NULL
);
INSERT INTO summary VALUES (1, 0, NULL, 0);

CREATE TABLE summary_variant (
  phase_id INTEGER NOT NULL,
  variant_id INTEGER NOT NULL,
  devices BIGINT NOT NULL,
  PRIMARY KEY (phase_id, variant_id)
);

CREATE TABLE summary_hour (
  experiment_id INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  devices BIGINT NOT NULL,
  PRIMARY KEY (experiment_id, hour)
);

-- Devices of each app that are in the figures.
CREATE TABLE summary_app (
  app_id INTEGER PRIMARY KEY,
  devices BIGINT NOT NULL
);

-- Devices that got the winner of a finished experiment.
CREATE TABLE summary_winner (
  experiment_id INTEGER PRIMARY KEY,
  devices BIGINT NOT NULL
);

-- New devices while the experiment had this status. place: the place, in the order of conditions, of one that they did
-- not fulfil; -1 for all devices outside the audience, whatever kept them out; -2 for all devices.
CREATE TABLE summary_outside (
  status_change_id INTEGER NOT NULL,
  place INTEGER NOT NULL,
  devices BIGINT NOT NULL,
  PRIMARY KEY (status_change_id, place)
);

-- day: days since 1970-01-01 UTC; devices count on the day of their first request, and exposed ones on the day on which
-- their first exposure was received. showed_other: devices by the day on which they first reported that they showed
-- another value than their own.
CREATE TABLE summary_day (
  phase_id INTEGER NOT NULL,
  variant_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  devices BIGINT NOT NULL,
  exposed BIGINT NOT NULL DEFAULT 0,
  showed_other BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (phase_id, variant_id, day)
);

-- own: whether the device showed its own value. A device that showed its own and another one has both rows.
CREATE TABLE exposed (
  device_id BIGINT NOT NULL,
  experiment_id INTEGER NOT NULL,
  own BOOLEAN NOT NULL,
  PRIMARY KEY (device_id, experiment_id, own)
);

-- What a device's events add up to. A sum may be larger than 64 bits.
CREATE TABLE metric_device (
  device_id BIGINT NOT NULL,
  metric_id INTEGER NOT NULL,
  total NUMERIC NOT NULL,
  PRIMARY KEY (device_id, metric_id)
);

-- What the events that were received on one day added. The figures of a variant are the sums over the days. total,
-- squares: whole numbers, as texts. lag: the sum of the milliseconds from each event to its receipt. first_at, last_at:
-- the first and last receipt. buckets, for an amount: how many devices have a total of about this size, the sum of
-- these totals and the sum of their squares, as a JSON list of [bucket, devices, total, squares]. delays: how many
-- devices had their first event so many days after their first request, as [days, devices].
CREATE TABLE summary_metric (
  metric_id INTEGER NOT NULL,
  phase_id INTEGER NOT NULL,
  variant_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  converters BIGINT NOT NULL,
  total TEXT NOT NULL,
  squares TEXT NOT NULL,
  events BIGINT NOT NULL,
  without_amount BIGINT NOT NULL,
  lag BIGINT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  buckets TEXT NOT NULL,
  delays TEXT NOT NULL,
  PRIMARY KEY (metric_id, phase_id, variant_id, day)
);

-- Devices by the day on which their first event happened.
CREATE TABLE summary_happened (
  metric_id INTEGER NOT NULL,
  day INTEGER NOT NULL,
  devices BIGINT NOT NULL,
  PRIMARY KEY (metric_id, day)
);

-- What the worker concludes from all of it, as the JSON document that pages and programs read.
CREATE TABLE summary_result (
  experiment_id INTEGER PRIMARY KEY,
  document TEXT NOT NULL
);

-- Forgotten devices whose events are still being deleted: none of those events counts any more.
CREATE TABLE erasing (
  device_id BIGINT PRIMARY KEY
);

-- The events that count: those before the end of the experiment, of devices that were drawn and are inside the
-- coverage. A device that only got the winner has no position, and was not drawn. What a device was given is read from
-- its row for each event: the view assignment is made for many devices at once, and here it would be read for all of
-- them.
CREATE VIEW counted_event AS
SELECT event.id AS event_id, metric.id AS metric_id, metric.place, metric.watermark, event.device_id,
  taken.phase_id, taken.variant_id, device.first_seen, event.amount, event.at, event.received_at
FROM event
JOIN metric ON metric.event = event.name
JOIN device ON device.id = event.device_id
CROSS JOIN unnest(phases, variants, positions) AS taken (phase_id, variant_id, position)
JOIN phase ON phase.id = taken.phase_id AND phase.experiment_id = metric.experiment_id
WHERE event.device_id NOT IN (SELECT device_id FROM erasing) AND taken.position IS NOT NULL
  AND taken.variant_id NOT IN (SELECT id FROM variant WHERE place < 0) AND NOT EXISTS (
  SELECT 1 FROM status_change
  WHERE status_change.experiment_id = metric.experiment_id AND status IN ('finished', 'archived')
    AND after_event < event.id
);

CREATE VIEW counted_exposure AS
SELECT event.id AS event_id, phase.experiment_id, event.device_id, taken.phase_id, taken.variant_id,
  event.received_at, event.value AS shown, variant.value AS own, experiment.type
FROM event
JOIN experiment ON experiment.key = event.experiment AND experiment.kind = 'experiment'
JOIN device ON device.id = event.device_id
CROSS JOIN unnest(phases, variants, positions) AS taken (phase_id, variant_id, position)
JOIN phase ON phase.id = taken.phase_id AND phase.experiment_id = experiment.id
JOIN variant ON variant.id = taken.variant_id
WHERE event.name = 'exposure' AND event.device_id NOT IN (SELECT device_id FROM erasing)
  AND taken.position IS NOT NULL AND variant.place >= 0 AND NOT EXISTS (
  SELECT 1 FROM status_change
  WHERE status_change.experiment_id = experiment.id AND status IN ('finished', 'archived')
    AND after_event < event.id
);
