-- What was decided, and when each case must be looked at again.

CREATE TABLE policies (
    name {text} NOT NULL,
    effective_from {text} NOT NULL,
    sha256 {text} NOT NULL,
    text {text} NOT NULL,
    used_at BIGINT NOT NULL, -- when an order was first evaluated under it
    PRIMARY KEY (name, effective_from)
);

-- What cases were evaluated under; a row for each change.
CREATE TABLE rules (
    id {id},
    recorded_at BIGINT NOT NULL,
    fingerprint {text} NOT NULL,
    detail {text} NOT NULL
);

-- One row for each order, narrow: it is what every run reads and moves. What is
-- recorded of an order refers to it here, where whoever writes holds the row.
CREATE TABLE agenda (
    order_id {key} REFERENCES orders (id),
    next_at BIGINT, -- 0: a fact changed; NULL: time alone changes nothing
    rules_id BIGINT NOT NULL DEFAULT 0, -- 0: never evaluated
    is_open BOOLEAN NOT NULL DEFAULT TRUE,
    failures BIGINT NOT NULL DEFAULT 0,
    error {text}
);
CREATE INDEX agenda_next ON agenda (next_at, order_id) WHERE next_at IS NOT NULL;
CREATE INDEX agenda_rules ON agenda (rules_id, order_id) WHERE is_open;

-- What time alone does not change of a deadline.
CREATE TABLE deadlines (
    order_id BIGINT NOT NULL REFERENCES agenda (order_id),
    subject {text} NOT NULL,
    ref {text} NOT NULL,
    "window" {text} NOT NULL,
    started_at BIGINT NOT NULL,
    due_at BIGINT, -- NULL while paused
    last_day {text},
    ended_at BIGINT,
    is_met BOOLEAN NOT NULL DEFAULT FALSE, -- ended in time, by what it was for
    paused_days BIGINT NOT NULL DEFAULT 0, -- what waits took of a promise that was met or missed
    policy {text} NOT NULL,
    PRIMARY KEY (order_id, subject, ref, "window")
);

-- Up to when was enforced, and whether customers' notices are held.
CREATE TABLE enforcement (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    last_at BIGINT,
    doubted_at BIGINT, -- the last run at a time that nobody has confirmed
    held_since BIGINT,
    held_reason {text},
    feed_died_at BIGINT -- since when no import was completed for too long
);
INSERT INTO enforcement (id) VALUES (1);

-- When an import was last completed, whatever it found: one row, if ever.
CREATE TABLE feed (
    id BIGINT PRIMARY KEY CHECK (id = 1),
    imported_at BIGINT NOT NULL
);

-- What customers' notices are held for, each hold from the change set in which
-- somebody recorded it to the one in which somebody lifted it.
CREATE TABLE holds (
    id {id},
    kind {text} NOT NULL, -- claim, customer, order or unit
    ref {text} NOT NULL,
    order_id BIGINT REFERENCES orders (id), -- NULL: all orders of a customer
    reason {text} NOT NULL,
    until BIGINT, -- it ends by itself
    began_in BIGINT NOT NULL REFERENCES change_sets (id),
    ended_in BIGINT REFERENCES change_sets (id) -- NULL: nobody has lifted it
);
CREATE UNIQUE INDEX holds_ref ON holds (ref, kind) WHERE ended_in IS NULL;
CREATE INDEX holds_order ON holds (order_id) WHERE ended_in IS NULL;

-- Customers who want no reminders, from one change set to another.
CREATE TABLE opt_outs (
    id {id},
    customer_ref {text} NOT NULL,
    began_in BIGINT NOT NULL REFERENCES change_sets (id),
    ended_in BIGINT REFERENCES change_sets (id) -- NULL: they still do not
);
CREATE UNIQUE INDEX opt_outs_customer ON opt_outs (customer_ref) WHERE ended_in IS NULL;
