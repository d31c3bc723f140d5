-- The report `deadlines` as of :at (microseconds), from what is stored: state,
-- late days and level as far as they follow from a deadline's own times.
.mode csv
.headers on
SELECT o.order_ref, d.subject, d.ref, d."window",
       CASE d."window"
            WHEN 'hardware_warranty' THEN '1.1' WHEN 'software_warranty' THEN '1.2'
            WHEN 'fault_return' THEN '1.1' WHEN 'refund_request' THEN '3'
            WHEN 'hardware_repair' THEN '4.1' WHEN 'software_repair' THEN '4.2'
            WHEN 'cancellation_refund' THEN '5.2' ELSE '5.1' END AS clause,
       d.policy,
       strftime('%Y-%m-%dT%H:%M:%S+00:00', d.started_at / 1000000, 'unixepoch') AS started_at,
       strftime('%Y-%m-%dT%H:%M:%S+00:00', d.due_at / 1000000, 'unixepoch') AS due_at,
       d.last_day,
       CASE WHEN d."window" IN
                 ('hardware_warranty', 'software_warranty', 'fault_return', 'refund_request')
            THEN CASE WHEN d.ended_at IS NOT NULL THEN 'void'
                      WHEN d.due_at > :at THEN 'open' ELSE 'expired' END
            WHEN d.ended_at IS NULL
            THEN CASE WHEN d.due_at > :at THEN 'open'
                      WHEN d."window" IN ('hardware_fix', 'software_fix') THEN 'missed'
                      ELSE 'overdue' END
            WHEN d.ended_at >= d.due_at THEN 'missed'
            WHEN d.ended_at IN (c.repaired_at, c.unrepairable_at, c.refunded_at, c.exchanged_at)
              OR d.subject = 'order' THEN 'met'
            ELSE 'void' END AS state,
       strftime('%Y-%m-%dT%H:%M:%S+00:00',
            CASE WHEN d.ended_at IS NULL AND d.due_at <= :at
                  AND d."window" IN ('hardware_fix', 'software_fix') THEN d.due_at
                 ELSE d.ended_at END / 1000000, 'unixepoch') AS ended_at,
       CASE WHEN d."window" IN
                 ('hardware_warranty', 'software_warranty', 'fault_return', 'refund_request')
            THEN NULL
            WHEN d."window" IN ('hardware_fix', 'software_fix') AND d.ended_at IS NULL THEN 0
            ELSE max(0, coalesce(d.ended_at, :at) / 86400000000 - d.due_at / 86400000000 + 1)
            END AS late_days,
       CASE WHEN d."window" IN
                 ('hardware_warranty', 'software_warranty', 'fault_return', 'refund_request')
              OR coalesce(d.ended_at, :at) < d.due_at THEN 0
            WHEN d."window" IN ('hardware_fix', 'software_fix') THEN 1
            WHEN coalesce(d.ended_at, :at) >= d.due_at + 3 * 86400000000 THEN 3
            WHEN coalesce(d.ended_at, :at) >= d.due_at + 86400000000 THEN 2
            ELSE 1 END AS level,
       o.customer_ref, c.assignee_email AS assignee,
       CASE WHEN d."window" IN
                 ('hardware_warranty', 'software_warranty', 'fault_return', 'refund_request')
            THEN NULL
            WHEN d.ended_at IS NULL AND d."window" IN ('hardware_fix', 'software_fix')
                 AND d.due_at <= :at
            THEN d.due_at / 86400000000 - d.started_at / 86400000000
            WHEN d.ended_at >= d.due_at OR d.subject = 'order' OR d.ended_at IN
                 (c.repaired_at, c.unrepairable_at, c.refunded_at, c.exchanged_at)
            THEN d.ended_at / 86400000000 - d.started_at / 86400000000 END AS gross_days,
       CASE WHEN d."window" IN
                 ('hardware_warranty', 'software_warranty', 'fault_return', 'refund_request')
            THEN NULL
            WHEN d.ended_at IS NULL AND d."window" IN ('hardware_fix', 'software_fix')
                 AND d.due_at <= :at
            THEN d.due_at / 86400000000 - d.started_at / 86400000000 - d.paused_days
            WHEN d.ended_at >= d.due_at OR d.subject = 'order' OR d.ended_at IN
                 (c.repaired_at, c.unrepairable_at, c.refunded_at, c.exchanged_at)
            THEN d.ended_at / 86400000000 - d.started_at / 86400000000 - d.paused_days END AS net_days
  FROM orders AS o CROSS JOIN deadlines AS d ON d.order_id = o.id
       LEFT JOIN claims AS c ON d.subject = 'claim' AND c.claim_ref = d.ref
 ORDER BY o.order_ref, d.subject, d.ref, d."window";
