-- Events as apps sent them. The id is the order in which they were stored; whoever gives out ids has locked the row
-- `event` of last_number. Of two with the same event_id, the first stays.
-- amount: whole units of 1/10000. at: when the event happened, if the device said so. received_at: when it came here.
-- value, of an exposure: what the app showed.
CREATE TABLE event (
  id BIGINT PRIMARY KEY,
  device_id BIGINT NOT NULL,
  amount BIGINT,
  at BIGINT,
  received_at BIGINT NOT NULL,
  event_id TEXT COLLATE "C" NOT NULL,
  name TEXT NOT NULL,
  experiment TEXT,
  value TEXT,
  UNIQUE (device_id, event_id)
);
