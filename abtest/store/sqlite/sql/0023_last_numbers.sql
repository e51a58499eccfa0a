-- The highest id that a device and an event ever had.
CREATE VIEW last_number AS SELECT name, seq AS number FROM sqlite_sequence WHERE name IN ('device', 'event');
