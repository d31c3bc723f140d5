"""What `deliver` reads and writes, with no policy, no template and no second
look: a page is all that is ready for 500 notices' customers; its cases are
read, one message a customer is stored, taken, and kept as sent, a transaction
each. A letter is ready text into which its customer's names are filled.
Meanwhile smtp-source sends as many messages of the same size over as many
sessions; neither waits for the other."""

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
LETTER = """\
From: "Made-up shop" <warranty@shop.example>
To: "{customer_ref}" <{email}>
Subject: A subject
Message-ID: {header}
Content-Type: multipart/alternative; boundary="{customer_ref}"

--{customer_ref}
Content-Type: text/plain; charset=utf-8

Dear {customer_ref}, this is about your order {order_id}.
--{customer_ref}
Content-Type: text/html; charset=utf-8

<p>Dear {customer_ref}, this is about your order {order_id}.</p>
"""
ADDED = {
    "messages": {
        "id": "bigint", "message_id": "text", "kind": "text", "audience": "text",
        "recipient": "text", "subject": "text", "state": "text", "composed_at": "bigint",
        "next_try_at": "bigint",
    },
    "message_bodies": {"message_id": "bigint", "raw": "text"},
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


def letter(id: int, size: int, **names) -> str:
    """A letter of so many bytes."""
    return LETTER.format(header=header(id), **names).ljust(size, "x")


def header(id: int) -> str:
    return f"<floor-{id}@shop.example>"


def compose(database: Database, now: int, size: int) -> list[int]:
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
    bodies, carried = [], []
    for notice_id, order_id, customer_ref, email in ready:
        number = last + 1 + len(customers)
        if customer_ref not in customers:
            customers[customer_ref] = number, email
            names = {"customer_ref": customer_ref, "email": email, "order_id": order_id}
            bodies.append((number, letter(number, size, **names)))
        message_id, _ = customers[customer_ref]
        carried.append((message_id, notice_id))
    database.add("messages", [
        (id, header(id), "notices", "customer", email, "A subject", "ready", now, now)
        for id, email in customers.values()
    ])
    database.add("message_bodies", bodies)
    database.add("message_notices", carried)
    return [id for id, _ in customers.values()]


def main(url: str, now: int, size: int, *source: str) -> None:
    sending = subprocess.Popen(source)
    database = Database(url)
    while True:
        database.do("BEGIN")
        ids = compose(database, now, size)
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
