-- A verdict is kept as a code and its figures. The worker's next tick replaces the sentences that were kept before.
DELETE FROM summary_result;

-- How many exposures named an experiment that did not exist: they are kept, and count nowhere.
INSERT INTO meta VALUES ('unknown_experiment_events', 0);
