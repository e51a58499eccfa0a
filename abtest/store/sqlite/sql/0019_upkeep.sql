-- The servers and workers that run. Each overwrites its row every few seconds, and deletes it when it stops; the row of
-- one that was killed is deleted by the others after a while. stats_interval, free_disk: its settings of these names.
-- waiting: the most requests that waited at once since it wrote the row before. refused: how many requests it refused
-- since it started, as a JSON object of numbers by code; refused_lately: how many of these in the last minutes.
CREATE TABLE process (
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started_at INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('server', 'worker')),
  version TEXT NOT NULL,
  stats_interval REAL NOT NULL,
  free_disk REAL NOT NULL,
  seen_at INTEGER NOT NULL,
  waiting INTEGER NOT NULL,
  refused TEXT NOT NULL,
  refused_lately TEXT NOT NULL,
  PRIMARY KEY (host, pid, started_at)
) WITHOUT ROWID, STRICT;

-- How large the database was on each of the last days, when a process first looked. day: days since 1970-01-01 UTC.
CREATE TABLE database_size (
  day INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  bytes INTEGER NOT NULL
) STRICT;
