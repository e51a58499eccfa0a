-- Events as apps sent them. The id is the order in which they were stored; who gives out ids has locked the row `event`
-- of last_number. Of two with one event_id, the first stays.
-- amount: whole numbers of 1/10000. at: when it happened on the device, if it said so; received_at: here.
-- value: what the app showed, of an exposure.
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
