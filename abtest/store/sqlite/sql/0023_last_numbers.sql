-- The highest id that any device ever had, and any event.
CREATE VIEW last_number AS SELECT name, seq AS number FROM sqlite_sequence WHERE name IN ('device', 'event');
