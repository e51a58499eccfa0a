-- Who signs in. folded: the form in which names are compared. app_id: the app that the role is for; NULL for every app.
-- password: its Argon2 hash; NULL until a link was used. In the tables below, hash is the SHA-256 of a secret.
CREATE TABLE person (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  folded TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
  app_id INTEGER REFERENCES app,
  password TEXT,
  created_at INTEGER NOT NULL
) STRICT;

-- The link with which a person can set a password; a newer one replaces it.
CREATE TABLE sign_in_link (
  person_id INTEGER PRIMARY KEY REFERENCES person ON DELETE CASCADE,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  expires_at INTEGER NOT NULL
) STRICT;

CREATE TABLE session (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  created_at INTEGER NOT NULL,
  seen_at INTEGER NOT NULL
) STRICT;
CREATE INDEX session_person ON session (person_id);

-- What a program signs in with; role and app_id as above.
CREATE TABLE access_token (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'admin')),
  app_id INTEGER REFERENCES app,
  hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
  created_at INTEGER NOT NULL,
  expires_at INTEGER,
  used_at INTEGER
) STRICT;
