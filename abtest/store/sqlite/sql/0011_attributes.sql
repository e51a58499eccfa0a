-- What devices say about themselves repeats. So each combination of attributes is stored once, as a JSON object whose
-- names ascend, and a device has the id of its combination; NULL if it has no attributes.
CREATE TABLE profile (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  attributes TEXT NOT NULL UNIQUE
) STRICT;
ALTER TABLE device ADD COLUMN profile_id INTEGER REFERENCES profile;

-- How many devices are kept with fewer attributes than they sent, since there was no room for another combination.
INSERT INTO meta VALUES ('shortened_devices', 0);

-- The worker writes all results anew, with this number.
DELETE FROM summary_result;
