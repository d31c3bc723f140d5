"""`import` of orders, units and claims: into an empty database, and once more."""

from collections.abc import Iterator

from bench import Bench, Row, ratio_row
from facts import HEADERS
from history import STARTED_AT, Shape, micros
from process import Measure

# The facts as far as the files hold them, and who is to be looked at.
CHECKED = [
    """SELECT count(*), min(order_ref), max(order_ref), sum(total), count(customer_name),
              sum(placed_at % 1000003), sum(paid_at % 1000003), sum(shipped_at % 1000003),
              sum(delivered_at % 1000003), sum(cancelled_at % 1000003),
              sum(cancel_refunded_at % 1000003), sum(shipping_out), sum(shipping_back)
         FROM orders""",
    """SELECT count(*), min(unit_ref), max(unit_ref), sum(price), count(serial),
              min(serial_key), max(serial_key), sum(company_confirmed_at % 1000003),
              sum(customer_confirmed_at % 1000003) FROM units""",
    """SELECT count(*), min(claim_ref), max(claim_ref), sum(opened_at % 1000003),
              sum(confirmed_at % 1000003), sum(received_at % 1000003),
              sum(repaired_at % 1000003), sum(closed_at % 1000003) FROM claims""",
    # A unit and a claim bear the number of their order.
    """SELECT count(*) FROM orders AS o JOIN units AS u ON u.order_id = o.id
        WHERE substr(o.order_ref, 3) = substr(u.unit_ref, 3)""",
    """SELECT count(*) FROM units AS u JOIN claims AS c ON c.unit_id = u.id
        WHERE substr(u.unit_ref, 3) = substr(c.claim_ref, 3)""",
    "SELECT count(*), sum(next_at % 1000003) FROM agenda",
]


def imported(bench: Bench, shape: Shape) -> Iterator[Row]:
    folder = bench.facts(shape)
    rows = sum(data_rows(folder / f"{name}.csv") for name in HEADERS)
    empty = bench.made("empty")
    bench.engine.settle(empty)

    def check() -> list[list[tuple]]:
        found = [bench.engine.rows("measured", sql) for sql in CHECKED]
        return [[tuple(map(plain, row)) for row in rows] for rows in found]

    for what, template, goal in ("new", empty, 0.6), ("unchanged", bench.started(shape), 1):

        def ours() -> Measure:
            return bench.ours(bench.fresh(template), "import", folder)

        def by_hand() -> Measure:
            database = bench.fresh(template)
            script = bench.engine.script(database, "import", now=micros(STARTED_AT))
            return bench.measure(**script, cwd=folder)

        both = {"warrantyd": ours, "by hand": by_hand}
        measures = bench.compare(f"import, {what}", shape, both, check)
        yield ratio_row(f"`import`, {rows:,} rows, {what}", bench, measures, "by hand", rows,
                        "rows", goal)
    bench.engine.drop(empty)


def data_rows(path) -> int:
    with open(path, "rb") as file:
        return sum(1 for _ in file) - 1


def plain(value):
    """A database's sum may be a decimal number."""
    return value if value is None or isinstance(value, str) else int(value)
