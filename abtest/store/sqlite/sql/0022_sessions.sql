-- browser: such as Firefox on Windows; empty where it is not known. address: where it was when the session began.
ALTER TABLE session ADD COLUMN browser TEXT NOT NULL DEFAULT '';
ALTER TABLE session ADD COLUMN address TEXT;

-- When a session of the person was last used, to the minute; it stays when the sessions end.
ALTER TABLE person ADD COLUMN seen_at INTEGER;
UPDATE person SET seen_at = (SELECT max(seen_at) FROM session WHERE person_id = person.id);
