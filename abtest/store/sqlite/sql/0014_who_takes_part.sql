-- An app is one mobile app, or one environment of it: devices, experiments and all else belong to one app. What an
-- app's devices sent without leaving a row is counted here. profiles: how many the app has.
CREATE TABLE app (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  profiles INTEGER NOT NULL DEFAULT 0,
  shortened_devices INTEGER NOT NULL DEFAULT 0,
  duplicate_events INTEGER NOT NULL DEFAULT 0,
  unknown_device_events INTEGER NOT NULL DEFAULT 0,
  unknown_experiment_events INTEGER NOT NULL DEFAULT 0
) STRICT;
INSERT INTO app (
  id, key, created_at, profiles, shortened_devices, duplicate_events, unknown_device_events, unknown_experiment_events
)
SELECT 1, 'default', CAST(unixepoch('subsec') * 1000 AS INTEGER), (SELECT count(*) FROM profile),
  (SELECT value FROM meta WHERE name = 'shortened_devices'),
  (SELECT value FROM meta WHERE name = 'duplicate_events'),
  (SELECT value FROM meta WHERE name = 'unknown_device_events'),
  (SELECT value FROM meta WHERE name = 'unknown_experiment_events');
DELETE FROM meta
WHERE name IN ('shortened_devices', 'duplicate_events', 'unknown_device_events', 'unknown_experiment_events');

-- A device is in the app of its profile; without a profile, it is in app 1 and has no attributes. So the app takes no
-- room in a device's row. In device_token, the token of a device in any app but 1 stands after the app's id and a
-- space, which no token contains.
CREATE TABLE profile_in_app (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  app_id INTEGER NOT NULL REFERENCES app,
  attributes TEXT NOT NULL,
  UNIQUE (app_id, attributes)
) STRICT;
INSERT INTO profile_in_app SELECT id, 1, attributes FROM profile ORDER BY id;
DELETE FROM sqlite_sequence WHERE name = 'profile_in_app';
INSERT INTO sqlite_sequence SELECT 'profile_in_app', seq FROM sqlite_sequence WHERE name = 'profile';
DROP TABLE profile;
ALTER TABLE profile_in_app RENAME TO profile;

-- kind: groups and holdouts are drawn like experiments, with phases, positions and outcomes that are stored.
-- A holdout has the variants held and free. A group's variants are the keys of its experiments, and their weights are
-- the shares of these, 0 for an experiment that has left; the sum of the shares is the group's coverage.
-- start_at, end_at: when the worker is to start and finish the experiment.
CREATE TABLE experiment_in_app (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  app_id INTEGER NOT NULL REFERENCES app,
  kind TEXT NOT NULL CHECK (kind IN ('experiment', 'group', 'holdout')),
  key TEXT NOT NULL,
  description TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('draft', 'running', 'paused', 'finished', 'archived')),
  winner TEXT,
  type TEXT NOT NULL CHECK (type IN ('string', 'number', 'boolean', 'json')),
  audience TEXT NOT NULL,
  baseline TEXT,
  planned INTEGER,
  start_at INTEGER,
  end_at INTEGER,
  seed BLOB NOT NULL UNIQUE CHECK (length(seed) = 32),
  algorithm INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_after_device INTEGER NOT NULL,
  primary_changed_at INTEGER,
  baseline_changed_at INTEGER,
  UNIQUE (key, app_id, kind)
) STRICT;
INSERT INTO experiment_in_app
SELECT id, 1, 'experiment', key, description, status, winner, type, audience, baseline, planned, NULL, NULL, seed,
  algorithm, created_at, created_after_device, primary_changed_at, baseline_changed_at
FROM experiment ORDER BY id;
DELETE FROM sqlite_sequence WHERE name = 'experiment_in_app';
INSERT INTO sqlite_sequence SELECT 'experiment_in_app', seq FROM sqlite_sequence WHERE name = 'experiment';
DROP TABLE experiment;
ALTER TABLE experiment_in_app RENAME TO experiment;
CREATE INDEX experiment_start ON experiment (start_at) WHERE status = 'draft';
CREATE INDEX experiment_end ON experiment (end_at) WHERE status IN ('draft', 'running', 'paused');

-- stop_at: enrolment ends when the experiment has so many devices, in this phase and the ones before it.
ALTER TABLE phase ADD COLUMN stop_at INTEGER;

-- A token, written as in device_token, whose values a person chose. If it is also a device, it gets these values as
-- long as it has a row here.
CREATE TABLE test_device (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  app_id INTEGER NOT NULL REFERENCES app,
  token TEXT NOT NULL UNIQUE,
  note TEXT NOT NULL,
  made_by TEXT NOT NULL,
  made_at INTEGER NOT NULL
) STRICT;

CREATE TABLE test_value (
  test_device_id INTEGER NOT NULL REFERENCES test_device ON DELETE CASCADE,
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  variant_id INTEGER NOT NULL REFERENCES variant,
  PRIMARY KEY (test_device_id, experiment_id)
) WITHOUT ROWID, STRICT;

-- Devices of each app that are in the figures.
CREATE TABLE summary_app (
  app_id INTEGER PRIMARY KEY REFERENCES app,
  devices INTEGER NOT NULL
) STRICT;
INSERT INTO summary_app SELECT 1, device_watermark FROM summary;

-- Devices that got the winner of a finished experiment.
CREATE TABLE summary_winner (
  experiment_id INTEGER PRIMARY KEY REFERENCES experiment,
  devices INTEGER NOT NULL
) STRICT;
INSERT INTO summary_winner
SELECT experiment_id, count(*) FROM assignment
WHERE position IS NULL AND device_id <= (SELECT device_watermark FROM summary)
GROUP BY experiment_id;

-- place -2 of summary_outside: all new devices while the experiment had this status, in its audience or not.
INSERT INTO summary_outside
SELECT period.id, -2, min(ended_after, device_watermark) - min(after_device, device_watermark)
FROM summary, (
  SELECT status_change.id, status_change.status, status_change.winner, after_device,
    lead(after_device, 1, 9223372036854775807) OVER (PARTITION BY experiment_id ORDER BY status_change.id) AS ended_after
  FROM status_change
) AS period
WHERE (status IN ('draft', 'running', 'paused') OR (status = 'finished' AND winner IS NOT NULL))
  AND min(ended_after, device_watermark) > min(after_device, device_watermark);

DROP VIEW counted_exposure;
CREATE VIEW counted_exposure AS
SELECT event.id AS event_id, assignment.experiment_id, event.device_id, assignment.phase_id, assignment.variant_id,
  event.received_at, event.value AS shown, variant.value AS own, experiment.type
FROM event
CROSS JOIN experiment ON experiment.key = event.experiment AND experiment.kind = 'experiment'
CROSS JOIN assignment ON assignment.device_id = event.device_id AND assignment.experiment_id = experiment.id
CROSS JOIN variant ON variant.id = assignment.variant_id
WHERE event.name = 'exposure' AND event.device_id NOT IN (SELECT device_id FROM erasing)
  AND assignment.position IS NOT NULL AND variant.place >= 0 AND NOT EXISTS (
  SELECT 1 FROM status_change
  WHERE status_change.experiment_id = experiment.id AND status IN ('finished', 'archived')
    AND after_event < event.id
);
