-- Devices by the day on which their first event happened, in place of all events: so a device counts once, however many
-- events it sends. The day is the one that the device said, but not after the receipt, and at most 90 days before it.
DROP TABLE summary_happened;
CREATE TABLE summary_happened (
  metric_id INTEGER NOT NULL REFERENCES metric,
  day INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (metric_id, day)
) WITHOUT ROWID, STRICT;

WITH folded AS (
  SELECT counted_event.metric_id, event_id, device_id, first_seen, window_days,
    ifnull(min(max(at, received_at - 90 * 86400000), received_at), received_at) AS happened
  FROM counted_event JOIN metric ON metric.id = counted_event.metric_id
  WHERE event_id <= counted_event.watermark
), first AS (
  SELECT metric_id, happened, min(event_id) FROM folded
  WHERE window_days IS NULL OR happened <= first_seen + window_days * 86400000
  GROUP BY metric_id, device_id
)
INSERT INTO summary_happened SELECT metric_id, happened / 86400000, count(*) FROM first GROUP BY 1, 2;
