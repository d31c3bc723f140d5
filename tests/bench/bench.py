"""What every measured work needs: start states, copies of them, and a record."""

import os
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import facts
from history import STARTED_AT, Shape
from process import Failed, Measure, measure
from shop import Shop


@dataclass(frozen=True)
class Row:
    """A row of the table; a goal is at least (`>=`) or at most (`<=`) a number."""

    work: str
    engine: str
    ours: str
    peer: str
    ratio: float | None
    goal: str
    is_met: bool | None
    peak_mb: float | None


@dataclass
class Record:
    """Every single measurement, in the order in which it was made."""

    measures: list[dict] = field(default_factory=list)

    def add(self, work: str, engine: str, orders: int, who: str, measure: Measure) -> None:
        self.measures.append(
            {"work": work, "engine": engine, "orders": orders, "who": who}
            | {key: round(value, 4) for key, value in asdict(measure).items()}
        )


def note(text: str) -> None:
    print(text, flush=True)


# Puts one contender to work, from the same state as the others.
Contender = Callable[[], Measure]


class Bench:
    """Measures each contender so many times, in turn; the table shows medians."""

    def __init__(self, engine, shop: Shop, folder: Path, record: Record, times: int):
        self.engine, self.shop, self.folder, self.record = engine, shop, folder, record
        self.times = times

    def facts(self, shape: Shape) -> Path:
        """The folder of the import files."""
        folder = self.folder / f"facts-{shape.orders}"
        if not folder.exists():
            began = time.monotonic()
            facts.write(shape, folder)
            note(f"facts of {shape.orders:,} orders: written in {time.monotonic() - began:.0f} s")
        return folder

    def started(self, shape: Shape) -> str:
        """The database as it is on the evening before the measured day: all
        imported, and enforced once."""
        template = f"started_{shape.orders}"
        if not self.engine.has(template):
            folder = self.facts(shape)
            building = self.made(f"building_{shape.orders}")
            with self.engine.building():
                for work, args in (
                    ("start: import", ["import", folder]),
                    ("start: enforce", ["run", "enforce", "--at", STARTED_AT.isoformat()]),
                    ("start: housekeeping", ["run", "housekeeping"]),
                ):
                    self.note(work, shape, "warrantyd", self.ours(building, *args))
            self.engine.finish(building)
            self.engine.rename(building, template)
            note(f"{template}: {self.engine.megabytes(template):,.0f} MB on {self.engine.name}")
        return template

    def made(self, database: str) -> str:
        """An empty database, with its tables."""
        self.engine.drop(database)
        self.engine.make(database)
        self.ours(database, "status")
        return database

    def fresh(self, template: str) -> str:
        """A copy of a database, with nothing left to be written of it."""
        self.engine.copy(template, "measured")
        self.settle("measured")
        return "measured"

    def settle(self, database: str) -> None:
        self.engine.settle(database)
        os.sync()

    def ours(self, database: str, *args, port: int = 25, more: str = "") -> Measure:
        """Runs a command of warrantyd on a database."""
        self.shop.configure(self.engine.url(database), port, more)
        return self.measure(**self.shop.command(*args))

    def measure(self, **how) -> Measure:
        before = self.engine.server_cpu()
        took = measure(**how)
        return replace(took, server_cpu=self.engine.server_cpu() - before)

    def note(self, work: str, shape: Shape, who: str, measure: Measure) -> None:
        self.record.add(work, self.engine.word, shape.orders, who, measure)
        note(
            f"{self.engine.word:9}{shape.orders:>11,} {work:21} {who:16}"
            f"{measure.wall:8.2f} s, cpu{measure.cpu:8.2f} s, server{measure.server_cpu:8.2f} s,"
            f"{measure.peak_mb:5.0f} MB"
        )

    def compare(
        self, work: str, shape: Shape, contenders: dict[str, Contender],
        check: Callable[[], object] | None = None,
    ) -> dict[str, list[Measure]]:
        """Lets the contenders do the same work in turn; what `check` finds
        afterwards must be the same for all."""
        measures: dict[str, list[Measure]] = {who: [] for who in contenders}
        ours = None
        for _ in range(self.times):
            for who, contender in contenders.items():
                measures[who].append(contender())
                self.note(work, shape, who, measures[who][-1])
                found = check() if check else None
                ours = found if ours is None else ours
                if found != ours:
                    raise Failed(f"{work}: {who} left {found}, warrantyd {ours}")
        return measures


def median_wall(measures: list[Measure]) -> float:
    return statistics.median(measure.wall for measure in measures)


def peak(measures: list[Measure]) -> float:
    return max(measure.peak_mb for measure in measures)


def ratio_row(
    work: str, bench: Bench, measures: dict[str, list[Measure]], peer: str, units: int,
    unit: str, goal: float | None,
) -> Row:
    """A row that compares how fast warrantyd and a peer did so many units."""
    ours, theirs = median_wall(measures["warrantyd"]), median_wall(measures[peer])
    ratio = theirs / ours
    return Row(
        work=work,
        engine=bench.engine.name,
        ours=f"{units / ours:,.0f} {unit}/s",
        peer=f"{peer}: {units / theirs:,.0f} {unit}/s",
        ratio=ratio,
        goal="" if goal is None else f"≥ {goal:g} ×",
        is_met=None if goal is None else ratio >= goal,
        peak_mb=peak(measures["warrantyd"]),
    )
