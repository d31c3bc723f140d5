-- When the database was restored, and from a backup of when, while nobody has
-- let customers' mail go again.
ALTER TABLE enforcement ADD COLUMN restored_at BIGINT;
ALTER TABLE enforcement ADD COLUMN backup_at BIGINT;

-- Reports, worklists and messages to ops: what they said is erased sooner.
CREATE INDEX messages_inside ON messages (composed_at) WHERE kind <> 'notices';
