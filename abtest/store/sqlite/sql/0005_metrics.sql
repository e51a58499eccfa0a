-- less: whether less of the metric is better. baseline_changed_at: like primary_changed_at.
ALTER TABLE metric ADD COLUMN less INTEGER NOT NULL DEFAULT 0 CHECK (less IN (0, 1));
ALTER TABLE experiment ADD COLUMN baseline_changed_at INTEGER;

-- What the events of a day changed, like the sums beside it. buckets, for an amount: how many devices have a total of
-- about this size, the sum of these totals and the sum of their squares, as a JSON list of [bucket, devices, total,
-- squares]. delays: how many devices had their first event so many days after their first request, as [days, devices].
ALTER TABLE summary_metric ADD COLUMN buckets TEXT NOT NULL DEFAULT '[]';
ALTER TABLE summary_metric ADD COLUMN delays TEXT NOT NULL DEFAULT '[]';

-- What was counted or concluded before lacks these, so the worker counts all events anew.
DELETE FROM summary_result;
DELETE FROM summary_metric;
DELETE FROM metric_device;
DELETE FROM summary_happened;
UPDATE metric SET watermark = 0;
