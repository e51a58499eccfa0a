-- The link that makes the first admin while there is nobody: at most one, since a newer one replaces it.
CREATE TABLE first_link (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  hash BLOB NOT NULL CHECK (length(hash) = 32),
  expires_at INTEGER NOT NULL
) STRICT;
