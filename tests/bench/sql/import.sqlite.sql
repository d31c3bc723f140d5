-- The import files of the current directory, taken in by a careful hand: staged
-- as text, then upserted with their types and parents. A row that says nothing
-- else than what is known stays as it is. :now is in microseconds.
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 16000;
PRAGMA cache_size = -32000;
PRAGMA foreign_keys = ON;

CREATE TEMP TABLE staged_orders (
    order_ref TEXT, customer_ref TEXT, customer_name TEXT, customer_email TEXT,
    customer_locale TEXT, placed_at TEXT, paid_at TEXT, shipped_at TEXT, delivered_at TEXT,
    cancelled_at TEXT, cancel_refunded_at TEXT, currency TEXT, total TEXT, shipping_out TEXT,
    shipping_back TEXT);
CREATE TEMP TABLE staged_units (
    unit_ref TEXT, order_ref TEXT, sku TEXT, product_name TEXT, kind TEXT, serial TEXT,
    price TEXT, company_confirmed_at TEXT, customer_confirmed_at TEXT);
CREATE TEMP TABLE staged_claims (
    claim_ref TEXT, unit_ref TEXT, type TEXT, opened_at TEXT, assignee_email TEXT,
    confirmed_at TEXT, received_at TEXT, repaired_at TEXT, closed_at TEXT);
BEGIN IMMEDIATE;
.import --csv --skip 1 --schema temp orders.csv staged_orders
.import --csv --skip 1 --schema temp units.csv staged_units
.import --csv --skip 1 --schema temp claims.csv staged_claims

INSERT INTO change_sets (recorded_at, source) VALUES (:now, 'by hand');

INSERT INTO orders AS t (order_ref, customer_ref, customer_name, customer_email, customer_locale,
        placed_at, paid_at, shipped_at, delivered_at, cancelled_at, cancel_refunded_at, currency,
        total, shipping_out, shipping_back, created_in, changed_at)
SELECT order_ref, customer_ref, nullif(customer_name, ''), customer_email,
       nullif(customer_locale, ''), unixepoch(placed_at) * 1000000, unixepoch(paid_at) * 1000000,
       unixepoch(shipped_at) * 1000000, unixepoch(delivered_at) * 1000000,
       unixepoch(cancelled_at) * 1000000, unixepoch(cancel_refunded_at) * 1000000, currency,
       CAST(round(total * 100) AS INTEGER),
       CAST(round(nullif(shipping_out, '') * 100) AS INTEGER),
       CAST(round(nullif(shipping_back, '') * 100) AS INTEGER),
       (SELECT max(id) FROM change_sets), :now
  FROM staged_orders WHERE true
    ON CONFLICT (order_ref) DO UPDATE SET
       customer_ref = excluded.customer_ref,
       customer_name = coalesce(excluded.customer_name, t.customer_name),
       customer_email = excluded.customer_email,
       customer_locale = coalesce(excluded.customer_locale, t.customer_locale),
       placed_at = excluded.placed_at,
       paid_at = coalesce(excluded.paid_at, t.paid_at),
       shipped_at = coalesce(excluded.shipped_at, t.shipped_at),
       delivered_at = coalesce(excluded.delivered_at, t.delivered_at),
       cancelled_at = coalesce(excluded.cancelled_at, t.cancelled_at),
       cancel_refunded_at = coalesce(excluded.cancel_refunded_at, t.cancel_refunded_at),
       currency = excluded.currency,
       total = excluded.total,
       shipping_out = coalesce(excluded.shipping_out, t.shipping_out),
       shipping_back = coalesce(excluded.shipping_back, t.shipping_back),
       changed_at = excluded.changed_at
 WHERE (excluded.customer_ref, coalesce(excluded.customer_name, t.customer_name),
        excluded.customer_email, coalesce(excluded.customer_locale, t.customer_locale),
        excluded.placed_at, coalesce(excluded.paid_at, t.paid_at),
        coalesce(excluded.shipped_at, t.shipped_at),
        coalesce(excluded.delivered_at, t.delivered_at),
        coalesce(excluded.cancelled_at, t.cancelled_at),
        coalesce(excluded.cancel_refunded_at, t.cancel_refunded_at), excluded.currency,
        excluded.total, coalesce(excluded.shipping_out, t.shipping_out),
        coalesce(excluded.shipping_back, t.shipping_back))
    IS NOT (t.customer_ref, t.customer_name, t.customer_email, t.customer_locale, t.placed_at,
        t.paid_at, t.shipped_at, t.delivered_at, t.cancelled_at, t.cancel_refunded_at,
        t.currency, t.total, t.shipping_out, t.shipping_back);

INSERT INTO units AS t (unit_ref, order_id, sku, product_name, kind, serial, serial_key, price,
        company_confirmed_at, customer_confirmed_at, created_in, changed_at)
SELECT s.unit_ref, o.id, nullif(s.sku, ''), s.product_name, s.kind, nullif(s.serial, ''),
       nullif(lower(trim(s.serial)), ''), CAST(round(nullif(s.price, '') * 100) AS INTEGER),
       unixepoch(s.company_confirmed_at) * 1000000, unixepoch(s.customer_confirmed_at) * 1000000,
       (SELECT max(id) FROM change_sets), :now
  FROM staged_units AS s JOIN orders AS o ON o.order_ref = s.order_ref WHERE true
    ON CONFLICT (unit_ref) DO UPDATE SET
       sku = coalesce(excluded.sku, t.sku),
       product_name = excluded.product_name,
       kind = excluded.kind,
       serial = coalesce(excluded.serial, t.serial),
       serial_key = coalesce(excluded.serial_key, t.serial_key),
       price = coalesce(excluded.price, t.price),
       company_confirmed_at = coalesce(excluded.company_confirmed_at, t.company_confirmed_at),
       customer_confirmed_at = coalesce(excluded.customer_confirmed_at, t.customer_confirmed_at),
       changed_at = excluded.changed_at
 WHERE (coalesce(excluded.sku, t.sku), excluded.product_name, excluded.kind,
        coalesce(excluded.serial, t.serial), coalesce(excluded.price, t.price),
        coalesce(excluded.company_confirmed_at, t.company_confirmed_at),
        coalesce(excluded.customer_confirmed_at, t.customer_confirmed_at))
    IS NOT (t.sku, t.product_name, t.kind, t.serial, t.price, t.company_confirmed_at,
        t.customer_confirmed_at);

INSERT INTO claims AS t (claim_ref, unit_id, type, opened_at, assignee_email, confirmed_at,
        received_at, repaired_at, closed_at, created_in, changed_at)
SELECT s.claim_ref, u.id, s.type, unixepoch(s.opened_at) * 1000000, nullif(s.assignee_email, ''),
       unixepoch(s.confirmed_at) * 1000000, unixepoch(s.received_at) * 1000000,
       unixepoch(s.repaired_at) * 1000000, unixepoch(s.closed_at) * 1000000,
       (SELECT max(id) FROM change_sets), :now
  FROM staged_claims AS s JOIN units AS u ON u.unit_ref = s.unit_ref WHERE true
    ON CONFLICT (claim_ref) DO UPDATE SET
       type = excluded.type,
       opened_at = excluded.opened_at,
       assignee_email = coalesce(excluded.assignee_email, t.assignee_email),
       confirmed_at = coalesce(excluded.confirmed_at, t.confirmed_at),
       received_at = coalesce(excluded.received_at, t.received_at),
       repaired_at = coalesce(excluded.repaired_at, t.repaired_at),
       closed_at = coalesce(excluded.closed_at, t.closed_at),
       changed_at = excluded.changed_at
 WHERE (excluded.type, excluded.opened_at, coalesce(excluded.assignee_email, t.assignee_email),
        coalesce(excluded.confirmed_at, t.confirmed_at),
        coalesce(excluded.received_at, t.received_at),
        coalesce(excluded.repaired_at, t.repaired_at), coalesce(excluded.closed_at, t.closed_at))
    IS NOT (t.type, t.opened_at, t.assignee_email, t.confirmed_at, t.received_at, t.repaired_at,
        t.closed_at);

-- The cases to be looked at again.
INSERT INTO agenda (order_id, next_at)
SELECT id, 0 FROM orders WHERE changed_at = :now
UNION SELECT order_id, 0 FROM units WHERE changed_at = :now
UNION SELECT u.order_id, 0 FROM claims AS c JOIN units AS u ON u.id = c.unit_id
       WHERE c.changed_at = :now
    ON CONFLICT (order_id) DO UPDATE SET next_at = 0, failures = 0, error = NULL;
COMMIT;
