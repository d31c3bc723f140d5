"""`report deadlines` to CSV."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bench import Bench, Row, ratio_row
from history import STARTED_AT, Shape, micros
from process import Measure

GOALS = {"postgres": 1.0, "sqlite": 0.5}


def deadlines(bench: Bench, shape: Shape) -> Iterator[Row]:
    template = bench.started(shape)
    out = bench.folder / "deadlines.csv"

    def ours() -> Measure:
        at = STARTED_AT.isoformat()
        return bench.ours(template, "report", "deadlines", "--at", at, "--out", out)

    def by_hand() -> Measure:
        script = bench.engine.script(template, "deadlines", at=micros(STARTED_AT))
        return bench.measure(**script, stdout=out)

    rows = 0

    def check() -> tuple[int, str]:
        nonlocal rows
        rows, digest = lines_of(out)
        return rows, digest

    both = {"warrantyd": ours, "the same select": by_hand}
    measures = bench.compare("report deadlines", shape, both, check)
    out.unlink()
    yield ratio_row(f"`report deadlines`, {rows:,} rows", bench, measures, "the same select",
                    rows, "rows", GOALS[bench.engine.word])


def lines_of(path: Path) -> tuple[int, str]:
    """How many rows a CSV file has, and a digest that does not depend on how
    lines end."""
    digest, lines = hashlib.sha256(), -1
    with open(path, "rb") as file:
        for line in file:
            digest.update(line.rstrip(b"\r\n") + b"\n")
            lines += 1
    return lines, digest.hexdigest()
