-- What falls due on the measured day, written by a hand that knows what it
-- is: reminders of warranties, and claims whose goods arrive. The parameters
-- are microseconds: :now (the run), :day (its midnight), :last (the run before).
SET jit = off;
BEGIN;

WITH moved AS (
    UPDATE agenda AS a
       SET next_at = CASE s.days WHEN 30 THEN d.due_at - 7 * 86400000000
                                 WHEN 7 THEN d.due_at - 86400000000
                                 WHEN 1 THEN d.due_at END,
           is_open = s.days > 0
      FROM deadlines AS d, (VALUES (30, '-30d'), (7, '-7d'), (1, '-1d'), (0, 'due')) AS s (days, step)
     WHERE a.next_at <= :now AND d.order_id = a.order_id
       AND d."window" IN ('hardware_warranty', 'software_warranty')
       AND d.due_at = :day + s.days * 86400000000
    RETURNING a.order_id, d.subject, d.ref, d."window", d.last_day, d.policy, s.step)
INSERT INTO notices (order_id, subject, ref, "window", last_day, step, audience, fires_at, level,
                     policy, clause, disposition, recorded_at, ready_at)
SELECT order_id, subject, ref, "window", last_day, step, 'customer', :day, 0, policy,
       CASE "window" WHEN 'hardware_warranty' THEN '1.1' ELSE '1.2' END, 'queued', :now, :now
  FROM moved;

-- The next step is that of the repair that began, or of the warranty.
WITH moved AS (
    UPDATE agenda AS a
       SET next_at = least(:day + 16 * 86400000000, (
               SELECT min(d.due_at - s.days * 86400000000)
                 FROM deadlines AS d, (VALUES (30), (7), (1), (0)) AS s (days)
                WHERE d.order_id = a.order_id AND d."window" = 'hardware_warranty'
                  AND d.due_at - s.days * 86400000000 > :now))
      FROM units AS u, claims AS c
     WHERE a.next_at <= :now AND u.order_id = a.order_id AND c.unit_id = u.id
       AND c.received_at > :last AND c.received_at <= :now
    RETURNING a.order_id, c.claim_ref, c.received_at),
started AS (
    INSERT INTO deadlines (order_id, subject, ref, "window", started_at, due_at, last_day, policy)
    SELECT order_id, 'claim', claim_ref, 'hardware_repair', received_at,
           :day + 21 * 86400000000,
           to_char(to_timestamp(:day / 1000000) AT TIME ZONE 'UTC' + interval '20 days', 'YYYY-MM-DD'),
           'standard@2000-01-01'
      FROM moved)
INSERT INTO notices (order_id, subject, ref, "window", last_day, step, audience, fires_at, level,
                     policy, clause, disposition, recorded_at, ready_at)
SELECT order_id, 'claim', claim_ref, 'hardware_repair', '', 'start', 'customer', received_at, 0,
       'standard@2000-01-01', '4.1', 'queued', :now, :now
  FROM moved;

COMMIT;
