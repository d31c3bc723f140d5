-- Notices are recorded once and for ever; messages carry them.

CREATE TABLE notices (
    id {id},
    order_id BIGINT NOT NULL REFERENCES agenda (order_id),
    subject {text} NOT NULL,
    ref {text} NOT NULL,
    "window" {text} NOT NULL, -- empty for an outcome
    last_day {text} NOT NULL, -- empty for a start and an outcome
    step {text} NOT NULL,
    audience {text} NOT NULL,
    fires_at BIGINT NOT NULL,
    level BIGINT NOT NULL,
    policy {text} NOT NULL,
    clause {text} NOT NULL,
    disposition {text} NOT NULL,
    cause {text}, -- why it is held; or discarded, if it failed so
    -- When somebody let it go, or gave it up, that a surge had held; it is no part of one any more.
    cleared_in BIGINT REFERENCES change_sets (id),
    recorded_at BIGINT NOT NULL,
    ready_at BIGINT NOT NULL, -- a customer's outcome waits for a forgotten entry
    -- The day first: what falls due together lies together.
    UNIQUE (last_day, subject, ref, "window", step, audience)
);
CREATE INDEX notices_order ON notices (order_id);
CREATE INDEX notices_queued ON notices (audience, ready_at, id) WHERE disposition = 'queued';
CREATE INDEX notices_failed ON notices (order_id) WHERE disposition = 'failed';
CREATE INDEX notices_cause ON notices (cause, id) WHERE cause IS NOT NULL;

CREATE TABLE messages (
    id {id},
    message_id {text} NOT NULL UNIQUE, -- the header, the same at every try
    kind {text} NOT NULL, -- notices, report or ops
    audience {text} NOT NULL,
    recipient {text} NOT NULL, -- the address
    subject {text} NOT NULL,
    state {text} NOT NULL, -- ready, sending, sent, failed, uncertain, held, dropped
    composed_at BIGINT NOT NULL,
    tries BIGINT NOT NULL DEFAULT 0,
    first_try_at BIGINT, -- it is given up so long after this
    next_try_at BIGINT,
    answer {text}, -- the server's last answer, or what went wrong
    refused BOOLEAN NOT NULL DEFAULT FALSE, -- for good
    maybe_taken BOOLEAN NOT NULL DEFAULT FALSE, -- the server may have it
    sent_at BIGINT,
    counted_on {text}, -- the local day whose share of the recipient it uses up, if that is limited
    fence BIGINT NOT NULL DEFAULT 0, -- how many times it was taken: older holders write nothing
    lease_until BIGINT NOT NULL DEFAULT 0 -- by the database's own clock; after it a holder has died
);
CREATE INDEX messages_ready ON messages (next_try_at, id) WHERE state = 'ready';
CREATE INDEX messages_sending ON messages (id) WHERE state = 'sending';
CREATE INDEX messages_held ON messages (id) WHERE state = 'held';
CREATE INDEX messages_day ON messages (recipient, counted_on) WHERE counted_on IS NOT NULL;
CREATE INDEX messages_failed ON messages (id) WHERE state = 'failed';

-- The bytes, the same at every try; apart, as a message changes and they do not.
CREATE TABLE message_bodies (
    message_id {key} REFERENCES messages (id),
    raw {text} NOT NULL
);
-- Packing them costs more than the room.
--{postgres} ALTER TABLE message_bodies ALTER COLUMN raw SET STORAGE EXTERNAL;

-- Which notices a message carries. A notice for an audience with several
-- addresses is in a message for each.
CREATE TABLE message_notices (
    message_id BIGINT NOT NULL REFERENCES messages (id),
    notice_id BIGINT NOT NULL REFERENCES notices (id),
    PRIMARY KEY (message_id, notice_id)
);
CREATE INDEX message_notices_notice ON message_notices (notice_id);

-- Which messages somebody had tried again, and what they carried then: a notice
-- may be composed anew, into another message.
CREATE TABLE message_retries (
    id {id},
    change_set BIGINT NOT NULL REFERENCES change_sets (id),
    message_id BIGINT NOT NULL REFERENCES messages (id),
    notice_id BIGINT -- NULL: it carried none, or what it carried was forgotten since
);
CREATE INDEX message_retries_message ON message_retries (message_id);
CREATE INDEX message_retries_notice ON message_retries (notice_id);

-- Messages that came back after the server took them over.
CREATE TABLE bounces (
    id {id},
    fingerprint {text} NOT NULL UNIQUE, -- of the report and the message: the same again counts once
    message_id BIGINT NOT NULL REFERENCES messages (id),
    address {text} NOT NULL, -- the message's recipient, as addresses are compared
    kind {text} NOT NULL, -- hard, soft or noted
    status {text}, -- the enhanced status code
    diagnostic {text} NOT NULL, -- the server's words, without addresses
    recorded_at BIGINT NOT NULL,
    lifted_at BIGINT -- since when the address counts as one that works again
);
CREATE INDEX bounces_message ON bounces (message_id, kind);
CREATE INDEX bounces_undeliverable ON bounces (address) WHERE kind = 'hard' AND lifted_at IS NULL;

-- Since when the mail server cannot be used; no row: it can.
CREATE TABLE mail_pause (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    since BIGINT NOT NULL,
    cause {text} NOT NULL,
    faults BIGINT NOT NULL, -- runs in a row that found it so
    next_try_at BIGINT NOT NULL -- the daemon leaves it alone until then
);
