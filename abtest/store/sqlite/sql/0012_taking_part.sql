-- audience: conditions on attributes as a JSON list of texts, such as ["platform=ios"]. It never changes.
ALTER TABLE experiment ADD COLUMN audience TEXT NOT NULL DEFAULT '[]';

-- New devices outside an audience, while the experiment had this status. place: the place, in the order of conditions,
-- of one that they did not fulfil; -1 for all devices outside, whatever kept them out.
CREATE TABLE summary_outside (
  status_change_id INTEGER NOT NULL REFERENCES status_change,
  place INTEGER NOT NULL,
  devices INTEGER NOT NULL,
  PRIMARY KEY (status_change_id, place)
) WITHOUT ROWID, STRICT;
