-- What falls due on the measured day, written by a hand that knows what it
-- is: reminders of warranties, and claims whose goods arrive. The parameters
-- are microseconds: :now (the run), :day (its midnight), :last (the run before).
PRAGMA synchronous = FULL;
PRAGMA wal_autocheckpoint = 16000;
PRAGMA cache_size = -32000;
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;

INSERT INTO notices (order_id, subject, ref, "window", last_day, step, audience, fires_at, level,
                     policy, clause, disposition, recorded_at, ready_at)
SELECT a.order_id, d.subject, d.ref, d."window", d.last_day,
       CASE (d.due_at - :day) / 86400000000
            WHEN 30 THEN '-30d' WHEN 7 THEN '-7d' WHEN 1 THEN '-1d' ELSE 'due' END,
       'customer', :day, 0, d.policy,
       CASE d."window" WHEN 'hardware_warranty' THEN '1.1' ELSE '1.2' END,
       'queued', :now, :now
  FROM agenda AS a CROSS JOIN deadlines AS d ON d.order_id = a.order_id
 WHERE a.next_at <= :now AND d."window" IN ('hardware_warranty', 'software_warranty')
   AND (d.due_at - :day) / 86400000000 IN (30, 7, 1, 0);

INSERT INTO notices (order_id, subject, ref, "window", last_day, step, audience, fires_at, level,
                     policy, clause, disposition, recorded_at, ready_at)
SELECT a.order_id, 'claim', c.claim_ref, 'hardware_repair', '', 'start', 'customer',
       c.received_at, 0, 'standard@2000-01-01', '4.1', 'queued', :now, :now
  FROM agenda AS a CROSS JOIN units AS u ON u.order_id = a.order_id
       CROSS JOIN claims AS c ON c.unit_id = u.id
 WHERE a.next_at <= :now AND c.received_at > :last AND c.received_at <= :now;

INSERT INTO deadlines (order_id, subject, ref, "window", started_at, due_at, last_day, policy)
SELECT a.order_id, 'claim', c.claim_ref, 'hardware_repair', c.received_at,
       :day + 21 * 86400000000, date(:day / 1000000, 'unixepoch', '+20 days'),
       'standard@2000-01-01'
  FROM agenda AS a CROSS JOIN units AS u ON u.order_id = a.order_id
       CROSS JOIN claims AS c ON c.unit_id = u.id
 WHERE a.next_at <= :now AND c.received_at > :last AND c.received_at <= :now;

-- The next step of each case: of its warranty, or of the repair that began.
WITH step ("window", days) AS (VALUES
    ('hardware_warranty', 30), ('hardware_warranty', 7), ('hardware_warranty', 1),
    ('hardware_warranty', 0), ('software_warranty', 30), ('software_warranty', 7),
    ('software_warranty', 1), ('software_warranty', 0), ('hardware_repair', 5))
UPDATE agenda
   SET (next_at, is_open) = (
       SELECT min(d.due_at - s.days * 86400000000), count(*) > 0
         FROM deadlines AS d CROSS JOIN step AS s ON s."window" = d."window"
        WHERE d.order_id = agenda.order_id AND d.due_at - s.days * 86400000000 > :now)
 WHERE next_at <= :now;

COMMIT;
