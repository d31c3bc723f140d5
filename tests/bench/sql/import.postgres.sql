-- The import files of the current directory, taken in by a careful hand: staged
-- as text, then upserted with their types and parents. A row that says nothing
-- else than what is known stays as it is. :now is in microseconds.
SET jit = off;
SET work_mem = '64MB';
SET client_min_messages = warning;
BEGIN;

CREATE FUNCTION pg_temp.micros(at text) RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT (extract(epoch FROM nullif(at, '')::timestamptz) * 1000000)::bigint $$;
CREATE FUNCTION pg_temp.minor(amount text) RETURNS bigint LANGUAGE sql IMMUTABLE AS
    $$ SELECT (nullif(amount, '')::numeric * 100)::bigint $$;

CREATE TEMP TABLE staged_orders (
    order_ref text, customer_ref text, customer_name text, customer_email text,
    customer_locale text, placed_at text, paid_at text, shipped_at text, delivered_at text,
    cancelled_at text, cancel_refunded_at text, currency text, total text, shipping_out text,
    shipping_back text) ON COMMIT DROP;
CREATE TEMP TABLE staged_units (
    unit_ref text, order_ref text, sku text, product_name text, kind text, serial text,
    price text, company_confirmed_at text, customer_confirmed_at text) ON COMMIT DROP;
CREATE TEMP TABLE staged_claims (
    claim_ref text, unit_ref text, type text, opened_at text, assignee_email text,
    confirmed_at text, received_at text, repaired_at text, closed_at text) ON COMMIT DROP;
CREATE TEMP TABLE woken (order_id bigint) ON COMMIT DROP;
\copy staged_orders FROM 'orders.csv' (FORMAT csv, HEADER)
\copy staged_units FROM 'units.csv' (FORMAT csv, HEADER)
\copy staged_claims FROM 'claims.csv' (FORMAT csv, HEADER)
ANALYZE staged_orders, staged_units, staged_claims;

INSERT INTO change_sets (recorded_at, source) VALUES (:now, 'by hand');

WITH written AS (
    INSERT INTO orders AS t (order_ref, customer_ref, customer_name, customer_email,
            customer_locale, placed_at, paid_at, shipped_at, delivered_at, cancelled_at,
            cancel_refunded_at, currency, total, shipping_out, shipping_back, created_in,
            changed_at)
    SELECT order_ref, customer_ref, customer_name, customer_email, customer_locale,
           pg_temp.micros(placed_at), pg_temp.micros(paid_at), pg_temp.micros(shipped_at),
           pg_temp.micros(delivered_at), pg_temp.micros(cancelled_at),
           pg_temp.micros(cancel_refunded_at), currency, pg_temp.minor(total),
           pg_temp.minor(shipping_out), pg_temp.minor(shipping_back),
           (SELECT max(id) FROM change_sets), :now
      FROM staged_orders
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
        IS DISTINCT FROM (t.customer_ref, t.customer_name, t.customer_email, t.customer_locale,
            t.placed_at, t.paid_at, t.shipped_at, t.delivered_at, t.cancelled_at,
            t.cancel_refunded_at, t.currency, t.total, t.shipping_out, t.shipping_back)
    RETURNING id)
INSERT INTO woken SELECT id FROM written;

WITH written AS (
    INSERT INTO units AS t (unit_ref, order_id, sku, product_name, kind, serial, serial_key,
            price, company_confirmed_at, customer_confirmed_at, created_in, changed_at)
    SELECT s.unit_ref, o.id, s.sku, s.product_name, s.kind, s.serial,
           nullif(lower(trim(s.serial)), ''), pg_temp.minor(s.price),
           pg_temp.micros(s.company_confirmed_at), pg_temp.micros(s.customer_confirmed_at),
           (SELECT max(id) FROM change_sets), :now
      FROM staged_units AS s JOIN orders AS o ON o.order_ref = s.order_ref
        ON CONFLICT (unit_ref) DO UPDATE SET
           sku = coalesce(excluded.sku, t.sku),
           product_name = excluded.product_name,
           kind = excluded.kind,
           serial = coalesce(excluded.serial, t.serial),
           serial_key = coalesce(excluded.serial_key, t.serial_key),
           price = coalesce(excluded.price, t.price),
           company_confirmed_at = coalesce(excluded.company_confirmed_at, t.company_confirmed_at),
           customer_confirmed_at =
               coalesce(excluded.customer_confirmed_at, t.customer_confirmed_at),
           changed_at = excluded.changed_at
     WHERE (coalesce(excluded.sku, t.sku), excluded.product_name, excluded.kind,
            coalesce(excluded.serial, t.serial), coalesce(excluded.price, t.price),
            coalesce(excluded.company_confirmed_at, t.company_confirmed_at),
            coalesce(excluded.customer_confirmed_at, t.customer_confirmed_at))
        IS DISTINCT FROM (t.sku, t.product_name, t.kind, t.serial, t.price,
            t.company_confirmed_at, t.customer_confirmed_at)
    RETURNING order_id)
INSERT INTO woken SELECT order_id FROM written;

WITH written AS (
    INSERT INTO claims AS t (claim_ref, unit_id, type, opened_at, assignee_email, confirmed_at,
            received_at, repaired_at, closed_at, created_in, changed_at)
    SELECT s.claim_ref, u.id, s.type, pg_temp.micros(s.opened_at), s.assignee_email,
           pg_temp.micros(s.confirmed_at), pg_temp.micros(s.received_at),
           pg_temp.micros(s.repaired_at), pg_temp.micros(s.closed_at),
           (SELECT max(id) FROM change_sets), :now
      FROM staged_claims AS s JOIN units AS u ON u.unit_ref = s.unit_ref
        ON CONFLICT (claim_ref) DO UPDATE SET
           type = excluded.type,
           opened_at = excluded.opened_at,
           assignee_email = coalesce(excluded.assignee_email, t.assignee_email),
           confirmed_at = coalesce(excluded.confirmed_at, t.confirmed_at),
           received_at = coalesce(excluded.received_at, t.received_at),
           repaired_at = coalesce(excluded.repaired_at, t.repaired_at),
           closed_at = coalesce(excluded.closed_at, t.closed_at),
           changed_at = excluded.changed_at
     WHERE (excluded.type, excluded.opened_at,
            coalesce(excluded.assignee_email, t.assignee_email),
            coalesce(excluded.confirmed_at, t.confirmed_at),
            coalesce(excluded.received_at, t.received_at),
            coalesce(excluded.repaired_at, t.repaired_at),
            coalesce(excluded.closed_at, t.closed_at))
        IS DISTINCT FROM (t.type, t.opened_at, t.assignee_email, t.confirmed_at, t.received_at,
            t.repaired_at, t.closed_at)
    RETURNING unit_id)
INSERT INTO woken SELECT u.order_id FROM written JOIN units AS u ON u.id = written.unit_id;

-- The cases to be looked at again.
INSERT INTO agenda (order_id, next_at) SELECT DISTINCT order_id, 0 FROM woken
    ON CONFLICT (order_id) DO UPDATE SET next_at = 0, failures = 0, error = NULL;
COMMIT;
