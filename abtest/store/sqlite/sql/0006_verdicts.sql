-- A verdict is kept as a code and its figures: the sentences that were kept are made anew at the worker's next tick.
DELETE FROM summary_result;
