-- A window begins at the first request, and what happened before is outside it: so the worker counts metrics with a
-- window anew.
DELETE FROM summary_metric WHERE metric_id IN (SELECT id FROM metric WHERE window_days IS NOT NULL);
DELETE FROM metric_device WHERE metric_id IN (SELECT id FROM metric WHERE window_days IS NOT NULL);
DELETE FROM summary_happened WHERE metric_id IN (SELECT id FROM metric WHERE window_days IS NOT NULL);
UPDATE metric SET watermark = 0 WHERE window_days IS NOT NULL;

-- The worker also draws its conclusions anew.
DELETE FROM summary_result;
