"""`deliver` to a mail server on this machine that takes everything."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from bench import Bench, Row, median_wall, ratio_row
from history import MEASURED_AT, Shape, micros
from process import Failed, Measure

GOALS = {1: 0.8, 4: 0.6}
# What smtp-source adds to the bytes that it is asked for.
SOURCE_HEADERS = 200


def delivered(bench: Bench, shape: Shape) -> Iterator[Row]:
    template = bench.started(shape)
    at = MEASURED_AT.isoformat()
    for sessions, goal in GOALS.items():
        size, more = 2_000, "" if sessions == 1 else f"sessions = {sessions}\n"
        sent = 0

        def due() -> str:
            """A database in which the day's notices wait."""
            database = bench.fresh(template)
            bench.ours(database, "run", "enforce", "--at", at)
            bench.settle(database)
            return database

        def ours() -> Measure:
            nonlocal size, sent
            database = due()
            with sink() as port:
                took = bench.ours(database, "run", "deliver", "--at", at, port=port, more=more)
            sent, length = delivered_of(bench, database)
            size = length // sent
            return took

        def source_of(port: int) -> list:
            return ["smtp-source", "-d", "-s", sessions, "-m", sent,
                    "-l", size - SOURCE_HEADERS, "-f", "warranty@shop.example",
                    "-t", "customer@customers.example", f"127.0.0.1:{port}"]

        def source() -> Measure:
            with sink() as port:
                return bench.measure(argv=source_of(port))

        def floor() -> Measure:
            database = due()
            script = Path(__file__).with_name("floor_deliver.py")
            to_store = [bench.engine.url(database), micros(MEASURED_AT), size]
            with sink() as port:
                took = bench.measure(argv=[sys.executable, script, *to_store, *source_of(port)])
            left = delivered_of(bench, database)
            if left != (sent, sent * size):
                raise Failed(f"the floor left {left}, warrantyd {sent} messages of {size} bytes")
            return took

        all_three = {"warrantyd": ours, "smtp-source": source, "the floor": floor}
        measures = bench.compare(f"deliver, sessions {sessions}", shape, all_three)
        named = f"`deliver`, {sent:,} messages of {size / 1000:.1f} kB, sessions: {sessions}"
        row = ratio_row(named, bench, measures, "smtp-source", sent, "messages", goal)
        medians = [median_wall(measures[who]) for who in ("smtp-source", "the floor")]
        yield replace(row, peer=f"{row.peer}; the floor: {medians[0] / medians[1]:.2f} ×")


def delivered_of(bench: Bench, database: str) -> tuple[int, int]:
    """How many messages were sent, and their bytes, once nothing is left."""
    [(sent, length)] = bench.engine.rows(
        database,
        "SELECT count(*), coalesce(sum(length(raw)), 0) FROM messages "
        "JOIN message_bodies ON message_bodies.message_id = messages.id "
        "WHERE state = 'sent'",
    )
    [(left,)] = bench.engine.rows(
        database,
        "SELECT count(*) FROM notices WHERE disposition = 'queued' AND audience = 'customer'",
    )
    # A customer with two matters gets one message.
    if left > 0 or sent == 0:
        raise Failed(f"{sent} messages were sent, {left} notices were left")
    return sent, int(length)


@contextlib.contextmanager
def sink() -> Iterator[int]:
    """A server that takes every message; gives its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # It refuses to go on as root.
    user = ["-u", "nobody"] if os.geteuid() == 0 else []
    server = subprocess.Popen([shutil.which("smtp-sink"), *user, f"127.0.0.1:{port}", "100"])
    try:
        wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait()


def wait_for(port: int) -> None:
    for _ in range(500):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    raise Failed(f"no mail server answers on port {port}")
