"""`enforce`: the cases due on one day, how its cost grows, and a run with nothing due."""

import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import Bench, Row, median_wall, peak, ratio_row
from history import MEASURED_AT, MEASURED_DAY, STARTED_AT, Shape, instant, micros
from process import Failed, Measure
from script import connect

# What an evening's run leaves: the same from all contenders.
CHECKED = {
    "notices": """
        SELECT order_id, subject, ref, "window", last_day, step, audience, fires_at, level,
               policy, clause, disposition, recorded_at, ready_at
          FROM notices WHERE id > {before} ORDER BY ref, "window", step, audience""",
    "agenda": """
        SELECT order_id, next_at, rules_id, is_open, failures, error FROM agenda
         WHERE order_id IN (SELECT order_id FROM notices WHERE id > {before}) ORDER BY order_id""",
    "deadlines": """
        SELECT order_id, subject, ref, "window", started_at, due_at, last_day, ended_at, policy
          FROM deadlines
         WHERE order_id IN (SELECT order_id FROM notices WHERE id > {before})
         ORDER BY order_id, subject, ref, "window" """,
    "whole agenda": """
        SELECT count(*), count(next_at), sum(next_at % 1000003), sum(rules_id) FROM agenda""",
    "all deadlines": "SELECT count(*), sum(due_at % 1000003) FROM deadlines",
}


def contenders(bench: Bench, template: str) -> dict:
    values = {
        "now": micros(MEASURED_AT),
        "day": micros(instant(MEASURED_DAY, 0)),
        "last": micros(STARTED_AT),
    }
    script = Path(__file__).with_name("script.py")

    def ours() -> Measure:
        return bench.ours(bench.fresh(template), "run", "enforce", "--at", MEASURED_AT.isoformat())

    def set_based() -> Measure:
        database = bench.fresh(template)
        return bench.measure(**bench.engine.script(database, "enforce", **values))

    def per_row() -> Measure:
        url = bench.engine.url(bench.fresh(template))
        return bench.measure(argv=[sys.executable, script, url, *values.values()])

    return {"warrantyd": ours, "set-based SQL": set_based, "per-row script": per_row}


def checker(bench: Bench, template: str, shape: Shape):
    """Looks at what a run wrote, as a number for each table."""
    [(before,)] = bench.engine.rows(template, "SELECT coalesce(max(id), 0) FROM notices")

    def check() -> dict[str, int]:
        found = {}
        for what, sql in CHECKED.items():
            rows = bench.engine.rows("measured", sql.format(before=before))
            if what == "notices" and len(rows) != shape.due:
                raise Failed(f"{len(rows)} notices were recorded, expected {shape.due}")
            found[what] = hash(tuple(rows))
        return found

    return check


def due_on_one_day(bench: Bench, shape: Shape) -> Iterator[Row]:
    template = bench.started(shape)
    check = checker(bench, template, shape)
    measures = bench.compare("enforce", shape, contenders(bench, template), check)
    work = f"`enforce`, {shape.due:,} cases due"
    yield ratio_row(work, bench, measures, "set-based SQL", shape.due, "notices", 0.8)
    script = ratio_row(work, bench, measures, "per-row script", shape.due, "notices", 8)
    # The set-based SQL is the floor: it writes the same and knows no policy.
    medians = [median_wall(measures[peer]) for peer in ("per-row script", "set-based SQL")]
    yield replace(script, peer=f"{script.peer}; the floor: {medians[0] / medians[1]:.2f} ×")


def growth(bench: Bench, shape: Shape) -> Iterator[Row]:
    """The same number of due cases in ever more that are stored."""
    sizes = [Shape(orders) for orders in (100_000, 1_000_000) if orders < shape.orders] + [shape]
    medians: dict[str, list[float]] = {"warrantyd": [], "set-based SQL": []}
    peaks = []
    for size in sizes:
        template = bench.started(size)
        check = checker(bench, template, size)
        both = contenders(bench, template)
        del both["per-row script"]
        measures = bench.compare("growth", size, both, check)
        for who, walls in medians.items():
            walls.append(median_wall(measures[who]))
        peaks.append(peak(measures["warrantyd"]))
    times = {who: " → ".join(f"{wall:.2f}" for wall in walls) for who, walls in medians.items()}
    ratios = {who: walls[-1] / walls[0] for who, walls in medians.items()}
    stored = " → ".join(f"{size.orders:,}" for size in sizes)
    yield Row(
        work=f"`enforce`, {shape.due:,} cases due of {stored} stored",
        engine=bench.engine.name,
        ours=f"{times['warrantyd']} s",
        peer=f"set-based SQL: {times['set-based SQL']} s, {ratios['set-based SQL']:.2f} ×",
        ratio=ratios["warrantyd"],
        goal="≤ 1.6 ×",
        is_met=ratios["warrantyd"] <= 1.6,
        peak_mb=max(peaks),
    )


def nothing_due(bench: Bench, shape: Shape) -> Iterator[Row]:
    """The run's own time, from its row in `job_runs`: without the start of the
    process and the opening of the database, which the peer column shows."""
    database = bench.fresh(bench.started(shape))
    runs, starts, firsts, seconds = [], [], [], []
    for _ in range(20):
        runs.append(bench.ours(database, "run", "enforce", "--at", STARTED_AT.isoformat()))
        starts.append(bench.measure(argv=[bench.shop.binary, "--version"]))
        for who, run in ("warrantyd", runs[-1]), ("warrantyd --version", starts[-1]):
            bench.record.add("nothing due", bench.engine.word, shape.orders, who, run)
        first, second = nothing_but_the_probe(bench.engine.url(database))
        firsts.append(first)
        seconds.append(second)
    spans = bench.engine.rows(
        database,
        "SELECT finished_at - started_at FROM job_runs WHERE job = 'enforce' "
        "ORDER BY id DESC LIMIT 20",
    )
    work = statistics.median(span for (span,) in spans) / 1000
    ours, theirs = median_wall(runs) * 1000, median_wall(starts) * 1000
    first, second = statistics.median(firsts) * 1000, statistics.median(seconds) * 1000
    yield Row(
        work="`enforce`, nothing due",
        engine=bench.engine.name,
        ours=f"{work:.1f} ms ({ours:.0f} ms with the process)",
        peer=f"`warrantyd --version`: {theirs:.0f} ms; the floor: {first:.1f} ms, "
             f"on the same connection again {second:.1f} ms",
        ratio=None,
        goal="< 10 ms",
        is_met=work < 10,
        peak_mb=peak(runs),
    )


def nothing_but_the_probe(url: str) -> list[float]:
    """The floor: how long a run takes that only keeps that it began, takes and
    keeps up to when was enforced, and asks whether anything is due; once on a
    connection that was just made, and once more on the same. Up to where the
    run's own time ends: before it keeps that it ended."""
    connection, text = connect(url)
    spans = []
    is_sqlite = url.startswith("sqlite://")
    now, lock = micros(STARTED_AT), "" if is_sqlite else "FOR UPDATE"
    with contextlib.closing(connection):
        cursor = connection.cursor()
        for _ in range(2):
            began = time.perf_counter()
            cursor.execute(text("INSERT INTO job_runs (job, state, started_at) "
                                "VALUES ('floor', 'running', ?) RETURNING id"), (now,))
            [(run,)] = cursor.fetchall()
            cursor.execute("BEGIN")
            cursor.execute(f"SELECT last_at, held_since FROM enforcement WHERE id = 1 {lock}")
            cursor.fetchall()
            cursor.execute(text("SELECT EXISTS (SELECT 1 FROM agenda WHERE next_at <= ?)"), (now,))
            if cursor.fetchall()[0][0]:
                raise Failed("nothing due: something is")
            cursor.execute(text("UPDATE enforcement SET last_at = ? WHERE id = 1"), (now,))
            cursor.execute("COMMIT")
            spans.append(time.perf_counter() - began)
            cursor.execute(text("UPDATE job_runs SET state = 'done', finished_at = ? "
                                "WHERE id = ?"), (now, run))
    return spans
