-- A link that shows the results of one experiment to whoever has it. hash: the SHA-256 of its secret.
-- made_by: who made it, as in the journal.
CREATE TABLE shared_link (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id INTEGER NOT NULL REFERENCES experiment,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  note TEXT NOT NULL,
  made_at INTEGER NOT NULL,
  made_by_kind TEXT NOT NULL,
  made_by_name TEXT NOT NULL
) STRICT;
CREATE INDEX shared_link_experiment ON shared_link (experiment_id);
