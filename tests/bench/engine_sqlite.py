"""SQLite: a database is a file."""

import contextlib
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

SQL = Path(__file__).parent / "sql"


class Sqlite:
    name = "SQLite"
    word = "sqlite"
    # What warrantyd sets on its connections, for the peers too.
    settings = "WAL, synchronous FULL, a checkpoint every 16,000 pages, 32 MB of cache"

    def __init__(self, folder: Path):
        self.folder = folder

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def path(self, database: str) -> Path:
        return self.folder / f"{database}.db"

    def url(self, database: str) -> str:
        return f"sqlite://{self.path(database)}"

    def has(self, database: str) -> bool:
        return self.path(database).exists()

    def make(self, database: str) -> str:
        """An empty database; here the one who opens it makes it."""
        return database

    def rename(self, database: str, name: str) -> None:
        self.path(database).rename(self.path(name))

    def drop(self, database: str) -> None:
        for path in self.folder.glob(f"{database}.db*"):
            path.unlink()

    def copy(self, template: str, database: str) -> None:
        self.drop(database)
        shutil.copyfile(self.path(template), self.path(database))
        # Two large files are more than memory holds: the copy is to be there.
        with self.path(template).open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        with self.path(database).open("rb", buffering=0) as file:
            while file.read(1 << 24):
                pass

    def settle(self, database: str) -> None:
        """Nothing of what was done before is left to be written."""
        with closing(sqlite3.connect(self.path(database))) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def building(self):
        return contextlib.nullcontext()

    def finish(self, database: str) -> None:
        """A start state has the statistics that housekeeping keeps."""
        self.settle(database)

    def rows(self, database: str, sql: str) -> list[tuple]:
        with closing(sqlite3.connect(self.path(database))) as connection:
            return connection.execute(sql).fetchall()

    def megabytes(self, database: str) -> float:
        return self.path(database).stat().st_size / 1e6

    def server_cpu(self) -> float:
        """Seconds of a server's processes: there is none."""
        return 0.0

    def script(self, database: str, name: str, **values: int) -> dict:
        """How `measure` runs one of the texts in `sql`."""
        setup = [f".parameter set :{key} {value}" for key, value in values.items()]
        commands = [part for line in setup for part in ("-cmd", line)]
        return {
            "argv": ["sqlite3", "-batch", "-bail", *commands, self.path(database)],
            "stdin": SQL / f"{name}.sqlite.sql",
        }
