"""`netvision-api db`, `config` and `openapi` as processes, from any working directory."""

import json
import re
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir, closing
from dataclasses import fields
from pathlib import Path

import httpx
import pytest

from netvision_api.settings import Settings
from netvision_api.storage.errors import MigrationError
from netvision_api.storage.revisions import check_schema, drops_records, head, revisions_to_revert, upgrade
from tests.databases import AnyDatabase, PostgresqlDatabase, SqliteDatabase
from tests.servers import clean_environment, invoke_api, served

Finished = subprocess.CompletedProcess[str]
URL_WITH_SECRET = "postgresql://u:s3cret@db.invalid:5433/records"


class Command:
    """`netvision-api` on one database, run in a folder that knows nothing of the project."""

    def __init__(self, url: str, folder: Path) -> None:
        self.environment = {"NETVISION_DATABASE_URL": url}
        self.folder = folder

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "netvision_api", *arguments],
            cwd=self.folder,
            env=clean_environment() | self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *arguments: str) -> Finished:
        """Run a command in this process, which is the same but for the start of a Python."""
        with chdir(self.folder):
            result = invoke_api(*arguments, **self.environment)
        assert "Traceback" not in result.stderr
        return result

    def finished(self, *arguments: str) -> Finished:
        """Run a command as a process of its own to its end."""
        with self.start(*arguments) as process:
            stdout, stderr = process.communicate(timeout=60)
        assert "Traceback" not in stderr
        return Finished(process.args, process.returncode, stdout, stderr)


@pytest.fixture
def command(empty_database: AnyDatabase, tmp_path: Path) -> Command:
    """The command on a database without a schema."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Command(empty_database.url, folder)


@pytest.fixture
def migrated(command: Command, empty_database: AnyDatabase) -> Command:
    """The command on a database with the newest schema."""
    upgrade(Settings(database_url=empty_database.url))
    return command


def tables(database: AnyDatabase) -> list[str]:
    if isinstance(database, SqliteDatabase):
        with closing(sqlite3.connect(database.path)) as connection:
            return sorted(row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
    assert isinstance(database, PostgresqlDatabase)
    names = database.run("SELECT string_agg(tablename, ',') FROM pg_tables WHERE schemaname = 'public'")
    return sorted(str(names).split(",")) if names else []


def store(database: AnyDatabase) -> None:
    with served(Settings(database_url=database.url, port=0, migrate=False)) as url:
        assert httpx.post(f"{url}/new", json=[{"text": "a"}, {"text": "b"}]).status_code == 201


def outcome(result: Finished) -> tuple[int, str]:
    return result.returncode, result.stdout


def test_upgrade_makes_the_schema_and_can_be_repeated(command: Command, empty_database: AnyDatabase) -> None:
    assert outcome(command.finished("db", "upgrade")) == (0, f"{head()}\n")
    assert tables(empty_database) == ["alembic_version", "records"]
    store(empty_database)
    assert outcome(command("db", "upgrade")) == (0, f"{head()}\n")
    assert empty_database.count() == 2


def test_upgrades_at_the_same_time_wait_for_each_other(command: Command, empty_database: AnyDatabase) -> None:
    processes = [command.start("db", "upgrade") for _ in range(4)]
    results = [(*process.communicate(timeout=60), process.returncode) for process in processes]
    assert [code for _, _, code in results] == [0] * 4, results
    assert tables(empty_database) == ["alembic_version", "records"]


def test_current_names_the_revision(command: Command, empty_database: AnyDatabase) -> None:
    assert outcome(command("db", "current")) == (0, "none\n")
    assert tables(empty_database) == []
    upgrade(Settings(database_url=empty_database.url))
    assert outcome(command("db", "current")) == (0, f"{head()}\n")


def test_settings_that_a_command_of_the_schema_does_not_take_are_ignored(
    command: Command, empty_database: AnyDatabase
) -> None:
    assert empty_database
    command.environment |= {"NETVISION_TOKEN": "too short", "NETVISION_PORT": "none"}
    assert outcome(command("db", "current")) == (0, "none\n")


def test_check_distinguishes_a_missing_schema_from_the_needed_one(
    command: Command, empty_database: AnyDatabase
) -> None:
    result = command("db", "check")
    assert outcome(result) == (1, "")
    assert "netvision-api db upgrade" in result.stderr
    assert tables(empty_database) == []
    upgrade(Settings(database_url=empty_database.url))
    assert command("db", "check").returncode == 0


def test_check_knows_a_newer_schema(migrated: Command, empty_database: AnyDatabase) -> None:
    empty_database.execute("UPDATE alembic_version SET version_num = '9999'")
    result = migrated("db", "check")
    assert outcome(result) == (1, "")
    assert "9999" in result.stderr
    assert "newer" in result.stderr


def test_check_finds_what_the_models_do_not_say(migrated: Command, empty_database: AnyDatabase) -> None:
    empty_database.execute("ALTER TABLE records ADD COLUMN note text")
    assert migrated("db", "check").returncode == 1


@pytest.mark.parametrize("target", [["base"], ["--", "-2"], ["0002-2"]], ids=" ".join)
def test_no_records_are_dropped_unconfirmed(
    migrated: Command, empty_database: AnyDatabase, target: Sequence[str]
) -> None:
    store(empty_database)
    result = migrated("db", "downgrade", *target)
    assert outcome(result) == (2, "")
    assert "--yes" in result.stderr
    assert "2 records" in result.stderr
    assert empty_database.count() == 2


@pytest.mark.parametrize("target", ["base", "-2", "0002-2", "head-2", "heads-2", "@base", "0002@base", "0001-1"])
def test_a_target_below_the_first_revision_drops_the_records(target: str) -> None:
    assert drops_records(revisions_to_revert(head(), target))


@pytest.mark.parametrize("target", ["-1", "0001", "0002-1", "head-1", "head", "0002"])
def test_another_target_keeps_the_records(target: str) -> None:
    assert not drops_records(revisions_to_revert(head(), target))


@pytest.mark.parametrize("target", ["nowhere", "0", "-3", "0002:base", "current-2", "+1", "base:head", "@", "-", ""])
def test_a_target_that_cannot_be_resolved_is_refused(target: str) -> None:
    with pytest.raises(MigrationError, match=re.escape(repr(target))):
        revisions_to_revert(head(), target)


def test_downgrade_drops_the_records_after_confirmation(migrated: Command, empty_database: AnyDatabase) -> None:
    store(empty_database)
    assert outcome(migrated("db", "downgrade", "base", "--yes")) == (0, "none\n")
    assert "records" not in tables(empty_database)
    upgrade(Settings(database_url=empty_database.url))
    assert empty_database.count() == 0


def test_downgrade_without_loss_needs_no_confirmation(migrated: Command, empty_database: AnyDatabase) -> None:
    store(empty_database)
    assert outcome(migrated("db", "downgrade")) == (0, "0001\n")
    assert empty_database.count() == 2


def test_downgrade_of_an_empty_database_has_nothing_to_ask(command: Command) -> None:
    assert outcome(command("db", "downgrade", "base")) == (0, "none\n")


def test_downgrade_to_what_is_no_revision_is_refused(migrated: Command, empty_database: AnyDatabase) -> None:
    result = migrated("db", "downgrade", "nowhere", "--yes")
    assert outcome(result) == (1, "")
    assert "nowhere" in result.stderr
    assert empty_database.count() == 0


def test_sql_prints_statements_that_make_the_schema(command: Command, empty_database: AnyDatabase) -> None:
    result = command("db", "sql")
    assert (result.returncode, result.stderr) == (0, "")
    assert "CREATE TABLE records" in result.stdout
    assert tables(empty_database) == []
    run_script(empty_database, result.stdout)
    check_schema(Settings(database_url=empty_database.url))


def run_script(database: AnyDatabase, script: str) -> None:
    for statement in re.sub("(?m)^--.*$", "", script).split(";"):
        if statement.strip() not in {"", "BEGIN", "COMMIT"}:
            database.execute(statement)


def test_a_database_out_of_reach_is_exit_code_1_without_its_password(tmp_path: Path) -> None:
    away = Command("postgresql://u:s3cret@127.0.0.1:1/records", tmp_path)
    for name in ("upgrade", "current"):
        result = away("db", name)
        assert outcome(result) == (1, "")
        assert result.stderr.startswith("Error: ")
        assert len(result.stderr.splitlines()) == 1
        assert "s3cret" not in result.stderr


def test_the_schema_of_a_file_in_use_is_not_changed(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "records.db")
    upgrade(Settings(database_url=database.url))
    command = Command(database.url, tmp_path)
    with command.start("serve", "--port", "0") as server:
        assert server.stderr
        assert any("listening on" in line for line in iter(server.stderr.readline, ""))
        for arguments in (["db", "upgrade"], ["db", "downgrade", "--yes"]):
            result = command(*arguments)
            assert result.returncode == 1
            assert "in use" in result.stderr
        server.terminate()
    assert database.count() == 0


def config(arguments: Sequence[str] = (), **environment: str) -> dict[str, tuple[str, str]]:
    """Return value and source of every setting that `config` prints."""
    result = invoke_api("config", *arguments, **environment)
    assert result.returncode == 0, result.stderr
    assert "s3cret" not in result.stdout + result.stderr
    rows = re.findall(r"(?m)^(\S+) +(.*?) +(option|default|variable \S+)$", result.stdout)
    assert len(rows) == len(result.stdout.splitlines())
    return {name: (value, source) for name, value, source in rows}


def test_config_prints_every_setting() -> None:
    assert list(config()) == [field.name for field in fields(Settings)]


def test_config_names_the_source_of_each_value() -> None:
    shown = config(
        ["--grace", "3s"], NETVISION_PORT="9000", NETVISION_GRACE="5s", NETVISION_DATABASE_URL="sqlite:///x.db"
    )
    assert shown["grace"] == ("3s", "option")
    assert shown["port"] == ("9000", "variable NETVISION_PORT")
    assert shown["database_url"] == ("sqlite:///x.db", "variable NETVISION_DATABASE_URL")
    assert shown["host"] == ("127.0.0.1", "default")
    assert shown["migrate"] == ("true", "default")


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_config_hides_the_password(scheme: str) -> None:
    url = URL_WITH_SECRET.replace("postgresql", scheme)
    shown = config(["--database-url", url])
    assert shown["database_url"] == (url.replace("s3cret", "***"), "option")
    assert shown["migrate"][0] == "false"


def test_config_hides_a_password_in_the_query() -> None:
    shown = config(["--database-url", "postgresql:///records?host=db.invalid&user=u&password=s3cret"])
    assert "db.invalid" in shown["database_url"][0]


def test_openapi_prints_json_from_anywhere(tmp_path: Path) -> None:
    command = Command(URL_WITH_SECRET, tmp_path)
    result = command.finished("openapi")
    assert (result.returncode, result.stderr) == (0, "")
    assert set(json.loads(result.stdout)["paths"]) >= {"/new", "/all", "/{key}", "/health/live", "/health/ready"}
    assert list(tmp_path.iterdir()) == []
