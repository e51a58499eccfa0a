-- The servers and workers that run, on any host; see the same table in SQLite.
CREATE TABLE process (
  host TEXT COLLATE "C" NOT NULL,
  pid INTEGER NOT NULL,
  started_at BIGINT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('server', 'worker')),
  version TEXT NOT NULL,
  stats_interval DOUBLE PRECISION NOT NULL,
  free_disk DOUBLE PRECISION NOT NULL,
  seen_at BIGINT NOT NULL,
  waiting INTEGER NOT NULL,
  refused TEXT NOT NULL,
  refused_lately TEXT NOT NULL,
  PRIMARY KEY (host, pid, started_at)
);

-- How large the database was on each of the last days, when a process first looked. day: days since 1970-01-01 UTC.
CREATE TABLE database_size (
  day INTEGER PRIMARY KEY,
  at BIGINT NOT NULL,
  bytes BIGINT NOT NULL
);

-- How often a device was forgotten. Whoever is counting events when that happens starts over.
INSERT INTO meta VALUES ('erasures', 0);
