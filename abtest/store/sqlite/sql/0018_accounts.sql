-- What a person signs in with at an OpenID provider. A subject belongs to one account for good; a name there does not.
CREATE TABLE account (
  person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
  issuer TEXT NOT NULL,
  subject TEXT NOT NULL,
  PRIMARY KEY (person_id, issuer),
  UNIQUE (issuer, subject)
) STRICT, WITHOUT ROWID;
