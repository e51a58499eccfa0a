-- Times are milliseconds since 1970-01-01 UTC.

CREATE TABLE meta (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) WITHOUT ROWID, STRICT;
INSERT INTO meta VALUES ('config_version', 1), ('boots', 0);

-- The id is the order of first requests: it decides which experiments a device can be in.
CREATE TABLE device (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  token TEXT NOT NULL UNIQUE,
  first_seen INTEGER NOT NULL
) STRICT;

CREATE TABLE experiment (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  metrics TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('draft', 'running', 'paused', 'finished', 'archived')),
  winner TEXT,
  seed BLOB NOT NULL UNIQUE CHECK (length(seed) = 32),
  algorithm INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  created_after_device INTEGER NOT NULL
) STRICT;

CREATE TABLE variant (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  place INTEGER NOT NULL,
  value TEXT NOT NULL,
  UNIQUE (experiment_id, place),
  UNIQUE (experiment_id, value)
) STRICT;

-- weights: decimal texts as a JSON list in the order of the variants' places.
-- block_counts: how often each variant was drawn before the block in which next_position lies.
CREATE TABLE phase (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  number INTEGER NOT NULL,
  weights TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  created_after_device INTEGER NOT NULL,
  next_position INTEGER NOT NULL DEFAULT 0,
  block_counts TEXT NOT NULL,
  UNIQUE (experiment_id, number)
) STRICT;

-- position: NULL for a device that got the winner after the end: it is stored, outside the statistics.
CREATE TABLE assignment (
  device_id INTEGER NOT NULL REFERENCES device,
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  phase_id INTEGER NOT NULL REFERENCES phase,
  variant_id INTEGER NOT NULL REFERENCES variant,
  position INTEGER,
  PRIMARY KEY (device_id, experiment_id)
) WITHOUT ROWID, STRICT;

-- Every status that an experiment had, and after which device: verify compares the assignments with them.
CREATE TABLE status_change (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  status TEXT NOT NULL,
  winner TEXT,
  at INTEGER NOT NULL,
  after_device INTEGER NOT NULL
) STRICT;
CREATE INDEX status_change_experiment ON status_change (experiment_id, id);

-- Only the stats worker writes what follows. The watermark is the last device that is folded in; since device ids have
-- no gaps, it is also the number of devices folded in.
CREATE TABLE summary (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  device_watermark INTEGER NOT NULL,
  as_of INTEGER
) STRICT;
INSERT INTO summary VALUES (1, 0, NULL);

CREATE TABLE summary_variant (
  phase_id INTEGER NOT NULL REFERENCES phase,
  variant_id INTEGER NOT NULL REFERENCES variant,
  devices INTEGER NOT NULL,
  PRIMARY KEY (phase_id, variant_id)
) WITHOUT ROWID, STRICT;

CREATE TABLE summary_hour (
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  hour INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (experiment_id, hour)
) WITHOUT ROWID, STRICT;
