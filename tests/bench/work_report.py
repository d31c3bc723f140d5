"""`report deadlines` to CSV."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import Bench, Contender, Row, median_wall, ratio_row
from engine_postgres import Postgres
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

    contenders = {"warrantyd": ours, "the same select": by_hand}
    if isinstance(bench.engine, Postgres):
        contenders["the floor"] = fetched(bench, template, out)
    measures = bench.compare("report deadlines", shape, contenders, check)
    out.unlink()
    row = ratio_row(f"`report deadlines`, {rows:,} rows", bench, measures, "the same select",
                    rows, "rows", GOALS[bench.engine.word])
    if floors := measures.get("the floor"):
        ratio = median_wall(measures["the same select"]) / median_wall(floors)
        row = replace(row, peer=f"{row.peer}; the floor: {ratio:.2f} ×")
    yield row


def fetched(bench: Bench, template: str, out: Path) -> Contender:
    """The floor: the select's rows are fetched by a client that writes them as
    CSV, psql, in memory that does not grow with their number; \\copy's rows
    become CSV in the server."""
    script = bench.engine.script(template, "deadlines", at=micros(STARTED_AT))
    [*argv, copying] = script["argv"]
    text = copying.read_text()
    select = text.replace("COPY (\n", "").replace(") TO STDOUT (FORMAT csv, HEADER)", "")
    fetching = bench.folder / "deadlines.fetched.sql"
    fetching.write_text(select)
    argv = [*argv[:-1], "--csv", "-v", "FETCH_COUNT=10000", "-f", fetching]
    return lambda: bench.measure(argv=argv, stdout=out)


def lines_of(path: Path) -> tuple[int, str]:
    """How many rows a CSV file has, and a digest that does not depend on how
    lines end."""
    digest, lines = hashlib.sha256(), -1
    with open(path, "rb") as file:
        for line in file:
            digest.update(line.rstrip(b"\r\n") + b"\n")
            lines += 1
    return lines, digest.hexdigest()
