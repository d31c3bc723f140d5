"""A careful script that does the measured day's work row by row: it selects
the rows of each due case, works out in Python what follows, and writes page
by page, 1,000 cases a transaction. It knows no policy but what this day needs."""

import re
import sqlite3
import sys
from datetime import datetime, timedelta, timezone

DAY = 86_400_000_000
PAGE = 1_000
REMINDERS = {30: "-30d", 7: "-7d", 1: "-1d", 0: "due"}
CLAUSES = {"hardware_warranty": "1.1", "software_warranty": "1.2"}
REPAIR_DAYS = 20
POLICY = "standard@2000-01-01"

DUE = """SELECT order_id FROM agenda WHERE next_at <= ? ORDER BY next_at, order_id LIMIT ?"""
ORDER = "SELECT placed_at, delivered_at, cancelled_at FROM orders WHERE id = ?"
UNITS = "SELECT id, unit_ref, kind, received_at FROM units WHERE order_id = ?"
CLAIMS = """SELECT claim_ref, received_at, repaired_at, closed_at FROM claims WHERE unit_id = ?"""
DEADLINES = """SELECT subject, ref, "window", due_at, last_day, policy FROM deadlines
    WHERE order_id = ? AND ended_at IS NULL"""
TOLD = "SELECT ref, step, audience FROM notices WHERE order_id = ?"
ADD_NOTICE = """INSERT INTO notices (order_id, subject, ref, "window", last_day, step, audience,
    fires_at, level, policy, clause, disposition, recorded_at, ready_at)
    VALUES (?, ?, ?, ?, ?, ?, 'customer', ?, 0, ?, ?, 'queued', ?, ?)"""
ADD_DEADLINE = """INSERT INTO deadlines (order_id, subject, ref, "window", started_at, due_at,
    last_day, policy) VALUES (?, 'claim', ?, 'hardware_repair', ?, ?, ?, ?)"""
MOVE = "UPDATE agenda SET next_at = ?, is_open = ? WHERE order_id = ?"


def connect(url: str):
    """A connection, and how it writes the place of a parameter."""
    if url.startswith("sqlite://"):
        connection = sqlite3.connect(url.removeprefix("sqlite://"), isolation_level=None)
        for pragma in "synchronous = FULL", "wal_autocheckpoint = 16000", "cache_size = -32000":
            connection.execute(f"PRAGMA {pragma}")
        return connection, lambda sql: sql
    import psycopg

    connection = psycopg.connect(url, autocommit=True)
    return connection, lambda sql: re.sub(r"\?", "%s", sql)


def work_out(order_id, claims, deadlines, told, now, day, last):
    """The notices and deadlines of a case, and its next step."""
    notices, started, steps = [], [], []
    for subject, ref, window, due_at, last_day, policy in deadlines:
        if window not in CLAUSES:
            continue
        steps += [due_at - days * DAY for days in REMINDERS]
        step = REMINDERS.get((due_at - day) // DAY)
        if step and (ref, step, "customer") not in told:
            clause = CLAUSES[window]
            notices.append((order_id, subject, ref, window, last_day, step, day, policy, clause,
                            now, now))
    for ref, received_at, repaired_at, closed_at in claims:
        if received_at and last < received_at <= now and not (repaired_at or closed_at):
            due_at = day + (REPAIR_DAYS + 1) * DAY
            date = datetime.fromtimestamp(day // 1_000_000, timezone.utc).date()
            last_day = (date + timedelta(days=REPAIR_DAYS)).isoformat()
            started.append((order_id, ref, received_at, due_at, last_day, POLICY))
            notices.append((order_id, "claim", ref, "hardware_repair", "", "start", received_at,
                            POLICY, "4.1", now, now))
            steps.append(due_at - 5 * DAY)
    return notices, started, min((step for step in steps if step > now), default=None)


def main(url: str, now: int, day: int, last: int) -> None:
    connection, text = connect(url)
    cursor = connection.cursor()

    def rows(sql, *values):
        cursor.execute(text(sql), values)
        return cursor.fetchall()

    while True:
        cursor.execute("BEGIN")
        page = rows(DUE, now, PAGE)
        notices, started, moved = [], [], []
        for (order_id,) in page:
            rows(ORDER, order_id)
            claims = []
            for unit_id, *_ in rows(UNITS, order_id):
                claims += rows(CLAIMS, unit_id)
            deadlines, told = rows(DEADLINES, order_id), set(rows(TOLD, order_id))
            told_now, started_now, next_at = work_out(
                order_id, claims, deadlines, told, now, day, last
            )
            notices += told_now
            started += started_now
            moved.append((next_at, next_at is not None, order_id))
        for sql, written in (ADD_NOTICE, notices), (ADD_DEADLINE, started), (MOVE, moved):
            if written:
                cursor.executemany(text(sql), written)
        cursor.execute("COMMIT")
        if len(page) < PAGE:
            return


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
