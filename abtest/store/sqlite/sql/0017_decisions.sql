-- because: why the experiment was finished with this winner, or without one; empty if nobody said why. decided_at,
-- decided_by: when that was decided and by whom, as in the journal; NULL if that is not known.
ALTER TABLE experiment ADD COLUMN because TEXT NOT NULL DEFAULT '';
ALTER TABLE experiment ADD COLUMN decided_at INTEGER;
ALTER TABLE experiment ADD COLUMN decided_by_kind TEXT;
ALTER TABLE experiment ADD COLUMN decided_by_name TEXT;
