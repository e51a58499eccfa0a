-- browser: such as Firefox on Windows; empty if it is not known. address: where the session began.
ALTER TABLE session ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN address TEXT;

-- When any session of the person was last used, to the minute. It stays when the sessions end.
ALTER TABLE person ADD COLUMN seen_at INTEGER;
UPDATE person SET seen_at = (SELECT max(seen_at) FROM session WHERE person_id = person.id);
