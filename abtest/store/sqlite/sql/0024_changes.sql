-- The pages of an experiment or a holdout show how others changed it.
CREATE INDEX journal_subject ON journal (subject, app, action);
