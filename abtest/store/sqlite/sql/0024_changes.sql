-- Pages about an experiment or a holdout show what others changed of it.
CREATE INDEX journal_subject ON journal (subject, app, action);
