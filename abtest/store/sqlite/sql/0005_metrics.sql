-- less: whether less of it is better. baseline_changed_at: as primary_changed_at.
ALTER TABLE metric ADD COLUMN less INTEGER NOT NULL DEFAULT 0 CHECK (less IN (0, 1));
ALTER TABLE experiment ADD COLUMN baseline_changed_at INTEGER;

-- What the events of a day changed, as the sums beside it. buckets, of an amount: how many devices have a total of
-- about this size, their sum and that of the squares, as a JSON list of [bucket, devices, total, squares]. delays: how
-- many devices had their first event so many days after their first request, as [days, devices].
ALTER TABLE summary_metric ADD COLUMN buckets TEXT NOT NULL DEFAULT '[]';
ALTER TABLE summary_metric ADD COLUMN delays TEXT NOT NULL DEFAULT '[]';

-- Nothing that was counted or concluded before has them: the worker counts all events anew.
DELETE FROM summary_result;
DELETE FROM summary_metric;
DELETE FROM metric_device;
DELETE FROM summary_happened;
UPDATE metric SET watermark = 0;
