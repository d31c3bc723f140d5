-- Facts: what anybody typed in or imported, and every change of it.
-- Instants are microseconds since 1970 (UTC), amounts minor units of the
-- order's currency, `*_ref` the shop's own names.

CREATE TABLE change_sets (
    id {id},
    recorded_at BIGINT NOT NULL,
    source {text} NOT NULL -- by what: an import with its files, or a command
);

CREATE TABLE orders (
    id {id},
    order_ref {text} NOT NULL UNIQUE,
    customer_ref {text} NOT NULL,
    customer_name {text},
    customer_email {text} NOT NULL,
    customer_locale {text},
    placed_at BIGINT NOT NULL,
    paid_at BIGINT,
    shipped_at BIGINT,
    delivered_at BIGINT,
    cancelled_at BIGINT,
    cancel_refunded_at BIGINT,
    currency {text} NOT NULL,
    total BIGINT NOT NULL,
    shipping_out BIGINT,
    shipping_back BIGINT,
    withdrawn BOOLEAN,
    created_in BIGINT NOT NULL REFERENCES change_sets (id),
    changed_at BIGINT NOT NULL
);
CREATE INDEX orders_customer ON orders (customer_ref, placed_at);

CREATE TABLE units (
    id {id},
    unit_ref {text} NOT NULL UNIQUE,
    order_id BIGINT NOT NULL REFERENCES orders (id),
    sku {text},
    product_name {text} NOT NULL,
    kind {text} NOT NULL,
    serial {text},
    serial_key {text}, -- the serial as it is compared
    price BIGINT,
    received_at BIGINT,
    company_confirmed_at BIGINT,
    customer_confirmed_at BIGINT,
    -- A unit may stand in a table before the one that it replaces.
    replaces_unit_id BIGINT REFERENCES units (id) DEFERRABLE INITIALLY DEFERRED,
    policy {text}, -- NULL: standard
    withdrawn BOOLEAN,
    created_in BIGINT NOT NULL REFERENCES change_sets (id),
    changed_at BIGINT NOT NULL
);
CREATE INDEX units_order ON units (order_id);
CREATE INDEX units_replaces ON units (replaces_unit_id) WHERE replaces_unit_id IS NOT NULL;
CREATE INDEX units_serial ON units (serial_key) WHERE serial_key IS NOT NULL;

CREATE TABLE claims (
    id {id},
    claim_ref {text} NOT NULL UNIQUE,
    unit_id BIGINT NOT NULL REFERENCES units (id),
    type {text} NOT NULL,
    opened_at BIGINT NOT NULL,
    assignee_email {text},
    reported_serial {text},
    confirmed_at BIGINT,
    received_at BIGINT,
    inspected_at BIGINT,
    findings {text}, -- codes separated by `;`
    accessories_missing BOOLEAN,
    repaired_at BIGINT,
    unrepairable_at BIGINT,
    returned_at BIGINT,
    refunded_at BIGINT,
    exchanged_at BIGINT,
    closed_at BIGINT,
    rejected_at BIGINT,
    withdrawn BOOLEAN,
    created_in BIGINT NOT NULL REFERENCES change_sets (id),
    changed_at BIGINT NOT NULL
);
CREATE INDEX claims_unit ON claims (unit_id);

CREATE TABLE waits (
    id {id},
    claim_id BIGINT NOT NULL REFERENCES claims (id),
    "from" BIGINT NOT NULL,
    until BIGINT,
    withdrawn BOOLEAN,
    created_in BIGINT NOT NULL REFERENCES change_sets (id),
    changed_at BIGINT NOT NULL,
    UNIQUE (claim_id, "from")
);

-- What a fact replaced, append-only. What a row held when it was created is
-- what it holds now, less these.
CREATE TABLE fact_changes (
    id {id},
    change_set BIGINT NOT NULL REFERENCES change_sets (id),
    entity {text} NOT NULL,
    row_id BIGINT NOT NULL,
    field {text} NOT NULL,
    old {text},
    new {text}
);
CREATE INDEX fact_changes_row ON fact_changes (entity, row_id);
