-- What a person signs in with at an OpenID provider. A subject is for good and of one account; a name there is not.
CREATE TABLE account (
  person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (person_id, issuer),
  UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;
