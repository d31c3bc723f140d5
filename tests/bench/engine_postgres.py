"""PostgreSQL: a server of our own, in a folder of its own, on a free port."""

import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from process import Failed

SQL = Path(__file__).parent / "sql"
SETTINGS = {
    "shared_buffers": "2GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "synchronous_commit": "on",
    "autovacuum": "off",  # a start state is vacuumed and analysed, and then left alone
}


class Postgres:
    name = "PostgreSQL"
    word = "postgres"
    settings = ", ".join(f"{key} {value}" for key, value in SETTINGS.items())

    def __init__(self, folder: Path):
        self.folder = folder / "cluster"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def __enter__(self):
        programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        # It refuses to run as root.
        user = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
        if not self.folder.exists():
            self.folder.mkdir()
            if user:
                for parent in self.folder.parents[:2]:
                    parent.chmod(0o711)
                shutil.chown(self.folder, **user)
            initdb = [programs / "initdb", "-D", self.folder, "-U", "bench", "-A", "trust",
                      "--encoding=UTF8", "--locale=C.UTF-8"]
            ran = subprocess.run(initdb, capture_output=True, text=True, cwd="/", **user)
            if ran.returncode != 0:
                raise Failed(f"initdb: {ran.stderr.strip()}")
        options = {**SETTINGS, "listen_addresses": "127.0.0.1", "port": str(self.port),
                   "unix_socket_directories": ""}
        set_options = [part for key, value in options.items() for part in ("-c", f"{key}={value}")]
        with open(self.folder.parent / "postgres.log", "ab") as log:
            command = [programs / "postgres", "-D", self.folder, *set_options]
            self.server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **user)
        self.wait()
        self.set_fsync("on")  # whatever was built here before
        return self

    def __exit__(self, *_):
        self.server.terminate()
        self.server.wait()

    def wait(self) -> None:
        import psycopg

        for _ in range(600):
            with contextlib.suppress(psycopg.OperationalError):
                self.rows("postgres", "SELECT 1")
                return
            time.sleep(0.1)
        raise Failed(f"the server on port {self.port} does not answer: see postgres.log")

    def url(self, database: str) -> str:
        return f"postgres://bench@127.0.0.1:{self.port}/{database}"

    def has(self, database: str) -> bool:
        sql = f"SELECT 1 FROM pg_database WHERE datname = '{database}'"
        return bool(self.rows("postgres", sql))

    def make(self, database: str) -> None:
        self.do(f"CREATE DATABASE {database}")

    def rename(self, database: str, name: str) -> None:
        self.do(f"ALTER DATABASE {database} RENAME TO {name}")

    def drop(self, database: str) -> None:
        self.do(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def copy(self, template: str, database: str) -> None:
        self.drop(database)
        self.do(f"CREATE DATABASE {database} TEMPLATE {template} STRATEGY file_copy")

    def settle(self, database: str) -> None:
        """Nothing of what was done before is left to be written."""
        self.do("CHECKPOINT", database)

    @contextlib.contextmanager
    def building(self):
        """A start state may be lost in a crash: it is built without `fsync`."""
        self.set_fsync("off")
        try:
            yield
        finally:
            self.set_fsync("on")

    def set_fsync(self, value: str) -> None:
        self.do(f"ALTER SYSTEM SET fsync = {value}")
        self.do("SELECT pg_reload_conf()")

    def finish(self, database: str) -> None:
        """A start state is as autovacuum leaves it."""
        self.do("VACUUM (FREEZE, ANALYZE)", database)
        self.settle(database)

    def do(self, sql: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql)

    def rows(self, database: str, sql: str) -> list[tuple]:
        import psycopg

        with psycopg.connect(self.url(database)) as connection:
            return connection.execute(sql).fetchall()

    def megabytes(self, database: str) -> float:
        [(size,)] = self.rows("postgres", f"SELECT pg_database_size('{database}')")
        return size / 1e6

    def server_cpu(self) -> float:
        """Seconds of the server's processes so far, those that ended included."""
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                fields = path.read_text().rpartition(") ")[2].split()
                # Fields 4 and 14–17 of proc(5): parent, times, times of children.
                if int(path.parent.name) == self.server.pid:
                    ticks += sum(map(int, fields[11:15]))
                elif int(fields[1]) == self.server.pid:
                    ticks += sum(map(int, fields[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def script(self, database: str, name: str, **values: int) -> dict:
        """How `measure` runs one of the texts in `sql`."""
        setup = [part for key, value in values.items() for part in ("-v", f"{key}={value}")]
        return {
            "argv": ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *setup, "-d", self.url(database),
                     "-f", SQL / f"{name}.postgres.sql"],
        }
