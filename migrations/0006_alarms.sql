-- What ops are told of while it lasts, one row each, until they know that it
-- is over.
CREATE TABLE alarms (
    name {text} PRIMARY KEY, -- in a few words, as ops read it
    detail {text} NOT NULL, -- why, and what to do
    since BIGINT NOT NULL,
    ended_at BIGINT, -- NULL: it lasts
    told_at BIGINT, -- when ops were written to last; NULL: not yet
    over_told BOOLEAN NOT NULL DEFAULT FALSE -- ops know that it is over
);
