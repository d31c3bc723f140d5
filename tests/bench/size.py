"""Measures how large a database gets: a made-up shop of a year, enforced and delivered in steps.

    cargo build
    python3 tests/bench/size.py --binary target/debug/warrantyd [--orders N] [--url URL]

Without a URL the database is a file of SQLite; a URL names an empty one of
PostgreSQL, which `psql` can reach. Mails are written into a directory.
"""

import argparse
import subprocess
import tempfile
from datetime import timedelta
from pathlib import Path

import facts
from history import MEASURED_DAY, Shape

CONFIG = """\
[database]
url = "{url}"
[business]
name = "Made-up shop"
timezone = "UTC"
[contacts]
lead = ["lead@shop.example"]
finance = ["finance@shop.example"]
manager = ["manager@shop.example"]
director = ["director@shop.example"]
[mail]
transport = "file"
dir = "mails"
from = "warranty@shop.example"
send_between = "00:00-24:00"
surge_limit = 1000000000
"""

# A step is stale after three days.
EVERY_DAYS = 2

# Until the last reminder of the longest warranty; the clock must be later.
DAYS = 400

SQLITE = """
SELECT s.tbl_name, sum(d.pgsize) FROM dbstat AS d JOIN sqlite_master AS s ON s.name = d.name
 GROUP BY s.tbl_name ORDER BY 2 DESC"""
POSTGRES = """
SELECT relname, pg_total_relation_size(oid) FROM pg_class
 WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--orders", type=int, default=20_000)
    parser.add_argument("--url", default="sqlite://shop.db")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="warrantyd-size-") as name:
        folder = Path(name)
        (folder / "warrantyd.toml").write_text(CONFIG.format(url=args.url))

        def run(*command: str) -> None:
            subprocess.run([args.binary.resolve(), *command], cwd=folder, check=True)

        def ask(sql: str) -> list[list[str]]:
            asked = (
                ["sqlite3", "-separator", "|", "shop.db", sql]
                if args.url.startswith("sqlite")
                else ["psql", "-XAtq", args.url, "-c", sql]
            )
            out = subprocess.run(asked, cwd=folder, check=True, text=True, capture_output=True)
            return [line.split("|") for line in out.stdout.splitlines()]

        shape = Shape(args.orders)
        facts.write(shape, folder / "facts")
        run("import", "facts")
        for step in range(0, DAYS, EVERY_DAYS):
            at = f"{MEASURED_DAY - timedelta(days=shape.first_day - step)}T09:00:00Z"
            run("run", "enforce", "--at", at)
            run("run", "deliver", "--at", at)
        run("run", "housekeeping")
        sizes = ask(SQLITE if args.url.startswith("sqlite") else POSTGRES)
        print("table | rows | bytes | bytes a row | bytes an order")
        total = 0
        for table, size in sizes:
            rows = int(ask(f'SELECT count(*) FROM "{table}"')[0][0])
            total += int(size)
            if rows:
                line = f"{table} | {rows} | {size} | {int(size) // rows}"
                print(f"{line} | {int(size) / args.orders:.0f}")
        print(f"all | | {total} | | {total / args.orders:.0f}")


if __name__ == "__main__":
    main()
