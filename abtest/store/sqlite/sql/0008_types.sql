-- The type of the values, for protocols that deliver more than texts.
ALTER TABLE experiment ADD COLUMN type TEXT NOT NULL DEFAULT 'string'
  CHECK (type IN ('string', 'number', 'boolean', 'json'));
