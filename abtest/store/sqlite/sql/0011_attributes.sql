-- What devices say about themselves repeats: each combination of attributes stands once, as a JSON object whose names
-- ascend, and a device has its number. A device without attributes has none.
CREATE TABLE profile (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  attributes TEXT NOT NULL UNIQUE
) STRICT;
ALTER TABLE device ADD COLUMN profile_id INTEGER REFERENCES profile;

-- Devices that are kept with fewer attributes than they had, since there is no room for another combination.
INSERT INTO meta VALUES ('shortened_devices', 0);

-- The worker writes all results anew, with that number.
DELETE FROM summary_result;
