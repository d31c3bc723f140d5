"""Measures warrantyd against its peers and prints a table; `run.sh` calls it."""

import argparse
import json
import platform
import shutil
import sys
import tempfile
from pathlib import Path

import table
import work_deliver
import work_enforce
import work_import
import work_report
from bench import Bench, Record, note
from engine_postgres import Postgres
from engine_sqlite import Sqlite
from history import Shape
from process import Failed
from shop import Shop

ENGINES = [Postgres, Sqlite]
WORKS = {
    "enforce": work_enforce.due_on_one_day,
    "growth": work_enforce.growth,
    "nothing-due": work_enforce.nothing_due,
    "import": work_import.imported,
    "report": work_report.deadlines,
    "deliver": work_deliver.delivered,
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/bench/run.sh", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--rows", type=int, default=1_000_000, metavar="N", help="orders [1000000]")
    size.add_argument("--full", action="store_true", help="10 million orders")
    names = [*WORKS, *(engine.word for engine in ENGINES)]
    parser.add_argument(
        "--only", nargs="+", default=[], choices=names, metavar="NAME",
        help=f"works and engines to measure: {', '.join(names)}",
    )
    parser.add_argument(
        "--times", type=int, default=3, metavar="N", help="measure each contender N times [3]"
    )
    parser.add_argument(
        "--dir", type=Path, help="keep data and start states here for the next time"
    )
    parser.add_argument("--binary", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, required=True, help=argparse.SUPPRESS)
    return parser.parse_args()


def measure(args: argparse.Namespace, folder: Path, record: Record) -> tuple[list, list[str]]:
    """The rows of the table, and what failed."""
    shape = Shape(10_000_000 if args.full else args.rows)
    chosen = [name for name in WORKS if name in args.only] or list(WORKS)
    engines = [engine for engine in ENGINES if engine.word in args.only] or ENGINES
    rows, failed = [], []
    for engine_type in engines:
        data = folder / engine_type.word
        data.mkdir(exist_ok=True)
        with engine_type(data) as engine:
            bench = Bench(engine, Shop(args.binary.resolve(), folder), folder, record, args.times)
            for name in chosen:
                try:
                    for row in WORKS[name](bench, shape):
                        rows.append(row)
                        note(table.line(row))
                except Failed as error:
                    failed.append(f"{name} on {engine.name}: {error}")
                    note(f"failed: {failed[-1]}")
                engine.drop("measured")
        if args.dir is None:
            shutil.rmtree(data)  # the other engine needs the room
    return rows, failed


def main() -> int:
    args = arguments()
    record = Record()
    with tempfile.TemporaryDirectory(prefix="warrantyd-bench-") as temporary:
        folder = args.dir or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        folder = folder.resolve()
        rows, failed = measure(args, folder, record)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    written = {"machine": platform.platform(), "measures": record.measures}
    args.json.write_text(json.dumps(written, indent=1))
    print("\n" + table.markdown(rows))
    print(f"\nevery measurement: {args.json}")
    for problem in failed:
        print(f"failed: {problem}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
