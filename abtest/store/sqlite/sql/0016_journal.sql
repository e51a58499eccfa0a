-- Every change: who made it, when, and what it changed; before and after are JSON of the fields that differ.
-- app: the key of the app in which the change was made; NULL if it was in none. hash: of the entry and the hash before
-- it.
CREATE TABLE journal (
  id INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  name TEXT NOT NULL,
  address TEXT,
  app TEXT,
  action TEXT NOT NULL,
  subject TEXT NOT NULL,
  before TEXT NOT NULL,
  after TEXT NOT NULL,
  hash TEXT NOT NULL
) STRICT;

-- The id and the hash of the newest entry, which show if the last entries are cut off.
CREATE TABLE journal_end (
  id INTEGER NOT NULL,
  hash TEXT NOT NULL
) STRICT;
INSERT INTO journal_end VALUES (0, '');

CREATE TRIGGER journal_is_never_changed BEFORE UPDATE ON journal
BEGIN
  SELECT RAISE(ABORT, 'an entry of the journal is never changed');
END;

CREATE TRIGGER journal_is_never_deleted BEFORE DELETE ON journal
BEGIN
  SELECT RAISE(ABORT, 'an entry of the journal is never deleted');
END;

-- INSERT OR REPLACE would delete an entry without firing the trigger above.
CREATE TRIGGER journal_only_grows BEFORE INSERT ON journal WHEN new.id IS NOT (SELECT id + 1 FROM journal_end)
BEGIN
  SELECT RAISE(ABORT, 'an entry of the journal only follows the last one');
END;
