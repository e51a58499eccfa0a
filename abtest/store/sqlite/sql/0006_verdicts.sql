-- A verdict is kept as a code and its figures: the sentences that were kept are made anew at the worker's next tick.
DELETE FROM summary_result;

-- Exposures that name an experiment that there was not: they are kept and count nowhere.
INSERT INTO meta VALUES ('unknown_experiment_events', 0);
