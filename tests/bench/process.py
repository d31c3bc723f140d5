"""Runs one program and says what it took."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")


class Failed(Exception):
    """A program that ended badly, or two that do not agree."""


@dataclass(frozen=True)
class Measure:
    wall: float  # seconds
    cpu: float  # seconds of the process, user and system
    peak_mb: float  # resident at most
    server_cpu: float = 0.0  # seconds of the database server's processes


def measure(argv: list, cwd: Path | None = None, stdin: Path | str = os.devnull,
            stdout: Path | str = os.devnull) -> Measure:
    """Runs a program to its end. One that fails raises with what it said."""
    command = [str(part) for part in argv]
    order = json.dumps([command, str(stdin), str(stdout)])
    launch = [sys.executable, "-I", "-S", LAUNCH, order]
    ran = subprocess.run(launch, cwd=cwd, capture_output=True, text=True)
    said = ran.stderr.strip()[-2000:]
    if ran.returncode != 0:
        raise Failed(f"{' '.join(command)}: cannot be started: {said}")
    status, wall, cpu, peak = json.loads(ran.stdout)
    if status != 0:
        raise Failed(f"{' '.join(command)}: status {status}: {said}")
    return Measure(wall, cpu, peak / 1024)
