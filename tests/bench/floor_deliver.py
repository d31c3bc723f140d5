"""What `deliver` reads and writes, with no letter, no policy and no second
look: a page is all that is ready for 500 notices' customers; its cases are
read, one message a customer is stored, taken, and kept as sent, a transaction
each. Meanwhile smtp-source sends as many messages of the same size over as
many sessions; neither waits for the other."""

import json
import subprocess
import sys
from dataclasses import dataclass

from script import connect

PAGE = 500
READY = """SELECT n.id, n.order_id FROM notices AS n
    WHERE n.disposition = 'queued' AND n.audience = 'customer' AND n.ready_at <= ?
    ORDER BY n.ready_at, n.id LIMIT ?"""
# All that is ready for the customers of some orders.
BESIDE = """SELECT n.id, n.order_id, o.customer_ref, o.customer_email
     FROM (SELECT DISTINCT p.customer_ref FROM {ids} AS page
             {then} orders AS p ON p.id = page.id) AS own
     {then} orders AS o ON o.customer_ref = own.customer_ref
     {then} notices AS n ON n.order_id = o.id
    WHERE n.disposition || '' = 'queued' AND n.audience || '' = 'customer' AND n.ready_at <= ?
    ORDER BY o.customer_ref, n.order_id, n.id"""
CASES = [
    "SELECT o.* FROM {ids} AS page {then} orders AS o ON o.id = page.id",
    "SELECT u.* FROM {ids} AS page {then} units AS u ON u.order_id = page.id",
    """SELECT c.* FROM {ids} AS page {then} units AS u ON u.order_id = page.id
       {then} claims AS c ON c.unit_id = u.id""",
    "SELECT n.* FROM {ids} AS page {then} notices AS n ON n.order_id = page.id",
]
TAKE = """UPDATE messages SET state = 'sending', fence = fence + 1
    WHERE id IN (SELECT id FROM {ids} AS page)"""
KEEP = """UPDATE messages SET state = 'sent', tries = tries + 1, next_try_at = NULL,
    first_try_at = {now}, sent_at = {now}, answer = '250 2.0.0 Ok'
    WHERE id IN (SELECT id FROM {ids} AS page)"""
SENT = """UPDATE notices SET disposition = 'sent'
    WHERE id IN (SELECT c.notice_id FROM {ids} AS page
                 {then} message_notices AS c ON c.message_id = page.id)"""
BODIES = """INSERT INTO message_bodies (message_id, raw)
    SELECT page.id, body.raw FROM {ids} AS page, (SELECT CAST(? AS TEXT) AS raw) AS body"""
ADDED = {
    "messages": {
        "id": "bigint", "message_id": "text", "kind": "text", "audience": "text",
        "recipient": "text", "subject": "text", "state": "text", "composed_at": "bigint",
        "next_try_at": "bigint",
    },
    "message_notices": {"message_id": "bigint", "notice_id": "bigint"},
}


@dataclass
class Database:
    """The two engines' ways to give a statement a page of rows."""

    url: str

    def __post_init__(self):
        connection, self.text = connect(self.url)
        self.cursor = connection.cursor()
        self.is_sqlite = self.url.startswith("sqlite://")
        if not self.is_sqlite:
            # By index, as the tables grow faster than anything is known of them.
            for way in "enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit":
                self.cursor.execute(f"SET {way} = off")
            connection.prepare_threshold = None

    def do(self, sql: str, *values, ids: list[int] | None = None):
        """Runs a statement; the numbers of a page are its first parameter."""
        table = "(SELECT value AS id FROM json_each(?))" if self.is_sqlite else "unnest(?::bigint[])"
        columns = "page" if self.is_sqlite else "page (id)"
        then = "CROSS JOIN" if self.is_sqlite else "JOIN"
        sql = sql.replace("{ids} AS page", f"{table} AS {columns}").replace("{then}", then)
        page = [] if ids is None else [json.dumps(ids) if self.is_sqlite else ids]
        return self.cursor.execute(self.text(sql), (*page, *values))

    def rows(self, sql: str, *values, ids: list[int] | None = None) -> list[tuple]:
        return self.do(sql, *values, ids=ids).fetchall()

    def add(self, table: str, rows: list[tuple]) -> None:
        columns = ADDED[table]
        into = f"INSERT INTO {table} ({', '.join(columns)})"
        if self.is_sqlite:
            places = ", ".join("?" * len(columns))
            self.cursor.executemany(f"{into} VALUES ({places})", rows)
        else:
            arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
            lists = [list(column) for column in zip(*rows)]
            self.cursor.execute(f"{into} SELECT * FROM unnest({arrays})", lists)


def compose(database: Database, now: int, body: str) -> list[int]:
    """Stores the messages of the next page; their numbers."""
    found = database.rows(READY, now, PAGE)
    if not found:
        return []
    orders = sorted({order_id for _, order_id in found})
    ready = database.rows(BESIDE, now, ids=orders)
    for sql in CASES:
        database.rows(sql, ids=orders)
    [(last,)] = database.rows("SELECT coalesce(max(id), 0) FROM messages")
    customers: dict[str, tuple[int, str]] = {}
    carried = []
    for notice_id, _, customer_ref, email in ready:
        number = last + 1 + len(customers)
        message_id, _ = customers.setdefault(customer_ref, (number, email))
        carried.append((message_id, notice_id))
    database.add("messages", [
        (id, f"<floor-{id}@shop.example>", "notices", "customer", email, "A subject", "ready",
         now, now) for id, email in customers.values()
    ])
    ids = [id for id, _ in customers.values()]
    database.do(BODIES, body, ids=ids)
    database.add("message_notices", carried)
    return ids


def main(url: str, now: int, size: int, *source: str) -> None:
    sending = subprocess.Popen(source)
    database = Database(url)
    body = "x" * size
    while True:
        database.do("BEGIN")
        ids = compose(database, now, body)
        database.do("COMMIT")
        if not ids:
            break
        for texts in [TAKE], [KEEP.replace("{now}", str(now)), SENT]:
            database.do("BEGIN")
            for sql in texts:
                database.do(sql, ids=ids)
            database.do("COMMIT")
    sys.exit(sending.wait())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
