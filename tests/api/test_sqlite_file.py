"""The file of an SQLite database: for one process at a time, and for its owner alone."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from stat import S_IMODE

import pytest

from netvision_api.settings import Settings
from netvision_api.storage.errors import DatabaseFileError
from netvision_api.storage.sqlite_file import sqlite_file_lock
from tests.servers import invoke_api, netvision_api, variables


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder of a user whose new files are open to everyone."""
    before = os.umask(0)
    yield tmp_path
    os.umask(before)


def settings_for(path: Path | str) -> Settings:
    return Settings(database_url=f"sqlite:///{path}")


def modes(folder: Path) -> dict[str, int]:
    return {file.name: S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def check_in_use(path: Path | str) -> None:
    with pytest.raises(DatabaseFileError, match="in use"), sqlite_file_lock(settings_for(path)):
        pass


def test_a_file_is_locked_under_each_of_its_names(tmp_path: Path) -> None:
    path = tmp_path / "a b.db"
    path.touch()
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "hard.db").hardlink_to(path)
    (tmp_path / "symbolic.db").symlink_to(path)
    with sqlite_file_lock(settings_for(path)):
        for name in ("a b.db", "a%20b.db", "links/../a b.db", "links/hard.db", "symbolic.db"):
            check_in_use(tmp_path / name)
    with sqlite_file_lock(settings_for(tmp_path / "links" / "hard.db")):
        check_in_use(path)


def test_the_lock_outlives_connections_and_the_file_itself(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    with sqlite_file_lock(settings_for(path)):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE records (uuid, text)")
        check_in_use(path)
        (tmp_path / "hard.db").hardlink_to(path)
        path.unlink()
        check_in_use(path)
        check_in_use(tmp_path / "hard.db")


def test_files_are_for_their_owner_alone(folder: Path) -> None:
    path = folder / "records.db"
    with sqlite_file_lock(settings_for(path)), closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE records (uuid, text)")
        assert modes(folder) == dict.fromkeys(
            ["records.db", "records.db-wal", "records.db-shm", "records.db.lock"], 0o600
        )


def test_files_that_were_open_to_others_are_closed_to_them(folder: Path) -> None:
    path = folder / "records.db"
    for suffix in ("", "-wal", "-shm", ".lock"):
        (folder / f"records.db{suffix}").touch()
    with sqlite_file_lock(settings_for(path)):
        assert set(modes(folder).values()) == {0o600}


def test_no_directory_is_made_for_a_path_that_was_chosen(tmp_path: Path) -> None:
    chosen = tmp_path / "nosuch" / "dir" / "records.db"
    for run, command in ((netvision_api, ["serve", "--port", "0"]), (invoke_api, ["db", "upgrade"])):
        result = run(*command, NETVISION_DATABASE_URL=f"sqlite:///{chosen}")
        assert result.returncode == 1
        assert f"there is no directory {chosen.parent}" in result.stderr
    assert not list(tmp_path.iterdir())


def test_the_default_directory_is_made_for_its_owner_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = folder / "home" / "share"
    monkeypatch.setattr("netvision_api.settings.platformdirs.user_data_path", home.joinpath)
    with variables({}), sqlite_file_lock(Settings()):
        assert modes(home) == {"netvision": 0o700}
        (home / "netvision").chmod(0o755)
    with sqlite_file_lock(Settings()):
        assert modes(home) == {"netvision": 0o700}
