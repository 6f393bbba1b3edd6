"""Records from the command line: add, list, get, delete and status."""

import csv
import json
import re
import threading
from collections.abc import Iterator
from io import BytesIO, StringIO
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from typer.testing import CliRunner

from netvision_api.settings import Settings
from netvision_cli.cli import app
from netvision_cli.errors import UsageError
from netvision_cli.inputs import NewRecord, read_file, read_lines
from netvision_cli.options import InputFormat
from tests.cli.commands import http_answer, invoke, netvision, on_terminal, raw_server
from tests.databases import AnyDatabase, on_sqlite
from tests.servers import served

ABSENT = "0192f0c4-5c5e-7000-8000-000000000001"
BESIDE = "0192f0c4-5c5e-7000-8000-000000000002"
NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def migrationless(empty_database: AnyDatabase) -> Iterator[str]:
    """The URL of a service without a schema."""
    with served(Settings(database_url=empty_database.url, port=0, migrate=False)) as url:
        yield url


def texts_of(http: httpx.Client) -> list[str]:
    return [record["text"] for record in http.get("/all").json()]


def stored(http: httpx.Client, *texts: str) -> list[str]:
    return [record["uuid"] for record in http.post("/new", json=[{"text": text} for text in texts]).json()]


def code_of(*arguments: str) -> int:
    """Run a command in this process, where it is about its usage, and return its exit code."""
    result = CliRunner(env={"NETVISION_URL": NOWHERE}).invoke(app, arguments)
    assert result.stdout == ""
    return result.exit_code


# --- add


def test_add_stores_texts_and_prints_their_uuids(service: str, http: httpx.Client) -> None:
    done = netvision(service, "add", "first", "second", "")
    assert (done.code, done.err) == (0, "")
    assert [http.get(f"/{line}").json()["text"] for line in done.lines] == ["first", "second", ""]


@on_sqlite
def test_add_makes_uuids_of_version_7_in_input_order(service: str, http: httpx.Client) -> None:
    done = invoke(service, "add", "-", given="".join(f"{number}\n" for number in range(50)))
    keys = [UUID(line) for line in done.lines]
    assert keys == sorted(keys)
    assert {key.version for key in keys} == {7}
    assert texts_of(http) == [str(number) for number in range(50)]


@pytest.mark.parametrize(
    ("given", "texts"),
    [
        ("", []),
        ("one", ["one"]),
        ("one\n", ["one"]),
        ("\n", [""]),
        ("one\n\n\ntwo\n", ["one", "", "", "two"]),
        ("one\r\n\r\ntwo\r\n", ["one", "", "two"]),
        ("\tone \x0b\x85\u2028two\n", ["\tone \x0b\x85\u2028two"]),
    ],
)
def test_each_line_is_a_text(given: str, texts: list[str]) -> None:
    assert [line.text for line in read_lines(BytesIO(given.encode()), "a file")] == texts


@on_sqlite
def test_add_takes_one_text_per_line_of_standard_input(service: str, http: httpx.Client) -> None:
    done = invoke(service, "add", "-", given="one\n\n\r\n two\t\r\n\nthree")
    assert (done.code, done.err, len(done.lines)) == (0, "", 6)
    assert texts_of(http) == ["one", "", "", " two\t", "", "three"]


@on_sqlite
def test_add_of_nothing_stores_nothing(service: str, database: AnyDatabase) -> None:
    done = invoke(service, "add", "-")
    assert (done.code, done.out, database.count()) == (0, "", 0)


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("plain.txt", "one\n\ntwo", ["one", "", "two"]),
        ("no-ending", "[1]\n", ["[1]"]),
        ("array.json", '["one", {"text": "t\\nwo"}, {"uuid": null, "text": ""}]', ["one", "t\nwo", ""]),
        ("none.json", "[]", []),
        ("one.json", '{"text": "one"}', ["one"]),
        ("text.json", '"one"', ["one"]),
        ("table.tsv", 'uuid\ttext\n\t"a, b"\n', ["a, b"]),
        *[
            (f"bom{name}", f"\ufeff{content}", ["one"])
            for name, content in (
                (".txt", "one"),
                (".json", '["one"]'),
                (".ndjson", '"one"'),
                (".csv", "text\none\n"),
                (".tsv", "text\none\n"),
            )
        ],
        ("lines.ndjson", '{"text": "one"}\n\n"t\\two"\n', ["one", "t\two"]),
        ("lines.jsonl", '"one"', ["one"]),
        ("table.csv", 'text\none\n"two\nlines, and a ""word"""\n', ["one", 'two\nlines, and a "word"']),
        ("windows.csv", '\ufeffuuid,text\r\n,one\r\n,"two\r\nlines"\r\n', ["one", "two\r\nlines"]),
        ("LOUD.CSV", "note,text\nx,one\n", ["one"]),
    ],
)
def test_a_file_is_read_by_its_ending(tmp_path: Path, name: str, content: str, texts: list[str]) -> None:
    file = tmp_path / name
    file.write_bytes(content.encode())
    assert [given.text for given in read_file(file)] == texts


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("record.json", f'[{{"uuid": "{ABSENT}", "text": "one"}}]'),
        ("record.ndjson", f'{{"uuid": "{ABSENT}", "text": "one"}}\n'),
        ("record.csv", f"uuid,text\n{ABSENT},one\n"),
    ],
)
def test_a_file_may_bring_uuids(tmp_path: Path, name: str, content: str) -> None:
    file = tmp_path / name
    file.write_text(content)
    assert list(read_file(file)) == [NewRecord("one", UUID(ABSENT))]


@on_sqlite
def test_add_stores_what_a_file_holds(service: str, http: httpx.Client, tmp_path: Path) -> None:
    file = tmp_path / "records.csv"
    file.write_bytes(f'uuid,text\n{ABSENT},one\n,"two\nlines"\n'.encode())
    done = invoke(service, "add", "--file", str(file))
    assert (done.code, done.err, done.lines[0], len(done.lines)) == (0, "", ABSENT, 2)
    assert [http.get(f"/{line}").json()["text"] for line in done.lines] == ["one", "two\nlines"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("bad.txt", b"caf\xe9\n"),
        ("bad.json", b'{"texts": "one"}'),
        ("truncated.json", b'["one"'),
        ("deep.json", b"[" * 100_000),
        ("unknown.json", b'[{"text": "one", "colour": "red"}]'),
        ("number.ndjson", b"5\n"),
        ("latin.ndjson", b'"caf\xe9"\n'),
        ("nothing.csv", b""),
        ("no-column.csv", b"a,b\n1,2\n"),
        ("short.csv", b"uuid,text\nx\n"),
        ("uuid.csv", b"uuid,text\nx,one\n"),
        ("quotes.csv", b'text\n"one" two\n'),
        ("open.csv", b'text\n"one\n'),
        ("return.csv", b"text\none\rtwo\n"),
    ],
)
def test_a_file_that_cannot_be_read_is_wrong_usage(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(UsageError, match=re.escape(name)):
        list(read_file(file))


def test_a_bad_file_is_reported_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "bad.json"
    file.write_bytes(b'["one"')
    done = invoke(NOWHERE, "add", "--file", str(file))
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"Error: {file} holds neither texts nor records")


@pytest.mark.parametrize("ending", ["dat", "xlsx"])
def test_a_file_of_an_unknown_ending_is_refused_with_the_known_ones(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"words.{ending}"
    file.write_bytes(b"one")
    with pytest.raises(
        UsageError, match=r"\.txt, \.json, \.ndjson, \.jsonl, \.csv, \.tsv; name its format with --format"
    ):
        list(read_file(file))
    assert list(read_file(file, InputFormat.TEXT)) == [NewRecord("one")]


def test_names_of_unknown_members_are_escaped(tmp_path: Path) -> None:
    file = tmp_path / "unknown.json"
    file.write_text(json.dumps([{"text": "one", "\x1b[31mred\u202e": 1}], ensure_ascii=False))
    done = invoke(NOWHERE, "add", "--file", str(file))
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert r"\x1b[31mred\u202e" in done.err
    assert "\x1b" not in done.err


@on_sqlite
def test_several_files_are_stored_and_none_of_them_if_one_is_bad(
    service: str, http: httpx.Client, database: AnyDatabase, tmp_path: Path
) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second.txt"
    first.write_text("".join(f"{number}\n" for number in range(1500)))
    second.write_bytes(b"caf\xe9")
    arguments = ("add", "--file", str(first), "--file", str(second))
    assert (invoke(service, *arguments).code, database.count()) == (2, 0)
    second.write_bytes(b"1500")
    assert (invoke(service, *arguments).code, sorted(map(int, texts_of(http)))) == (0, list(range(1501)))
    assert invoke(service, "add", "--file", str(first), "--file", f"{tmp_path}/./first.txt").code == 2


@on_sqlite
def test_a_file_is_stored_once_however_often_it_is_added_until_it_is_written_again(
    service: str, http: httpx.Client, database: AnyDatabase, tmp_path: Path
) -> None:
    file = tmp_path / "words.txt"
    words = [f"word {number}" for number in range(2500)]
    file.write_text("\n".join(words))
    first = invoke(service, "add", "--file", str(file))
    assert {UUID(line).version for line in first.lines} == {7}
    http.delete(f"/{first.lines[2000]}")
    assert invoke(service, "add", "--file", str(file)) == first
    assert texts_of(http) == words
    file.write_text("\n".join([*words, "another"]))
    assert invoke(service, "add", "--file", str(file)).code == 0
    assert database.count() == 5001


@on_sqlite
@pytest.mark.parametrize("format_", ["json", "ndjson", "csv"])
def test_add_and_get_and_delete_take_what_list_prints_in_every_format(
    service: str, http: httpx.Client, database: AnyDatabase, format_: str
) -> None:
    stored(http, "a\tb", "c\nd", "e")
    records = http.get("/all").json()
    printed = invoke(service, "list", "--format", format_).out
    assert invoke(service, "get", "-", given=printed).out == invoke(service, "list").out
    deleted = invoke(service, "delete", "-", "--format", "ndjson", given=printed)
    assert ([json.loads(line) for line in deleted.lines], database.count()) == (records, 0)
    seen = invoke(service, "add", "-", given=printed)
    assert (seen.code, http.get("/all").json()) == (0, records)
    assert f"standard input is read as {format_}" in seen.err
    named = invoke(service, "add", "-", "--format", format_, given=b"\xef\xbb\xbf" + printed.encode())
    assert (named.code, named.err, http.get("/all").json()) == (0, "", records)


@on_sqlite
def test_lines_that_look_like_json_are_texts_unless_list_prints_them(service: str, http: httpx.Client) -> None:
    lines = ['{"text":"one"}', "[", '"two"', "uuid,text,more"]
    assert invoke(service, "add", "-", given="\ufeff" + "\n".join(lines)).code == 0
    assert invoke(service, "add", "-", "--format", "text", given="uuid,text\n").code == 0
    assert texts_of(http) == [*lines, "uuid,text"]


@on_sqlite
def test_what_is_not_utf_8_is_refused_with_its_line(service: str, database: AnyDatabase) -> None:
    done = invoke(service, "add", "-", given=b"one\ncaf\xe9\n")
    assert (done.code, database.count()) == (2, 0)
    assert "line 2 of standard input is not UTF-8" in done.err


@on_sqlite
def test_an_argument_that_is_not_utf_8_is_refused_in_one_sentence(service: str, database: AnyDatabase) -> None:
    done = netvision(service, "add", "caf\udce9")
    assert done.code in {2, 4}
    assert (done.err.count("\n"), database.count()) == (1, 0)


@on_sqlite
def test_a_nul_character_is_refused_by_the_service(service: str, database: AnyDatabase) -> None:
    done = invoke(service, "add", "-", given="one\nt\0wo\n")
    assert (done.code, done.out, database.count()) == (4, "", 0)
    assert "U+0000" in done.err


@on_sqlite
def test_an_added_uuid_is_kept_and_may_be_repeated_with_the_same_text_alone(
    service: str, database: AnyDatabase
) -> None:
    first, again, other = (invoke(service, "add", "--uuid", ABSENT, text) for text in ("one", "one", "two"))
    assert (first.code, first.lines) == (again.code, again.lines) == (0, [ABSENT])
    assert (other.code, other.out, database.count()) == (4, "", 1)
    assert ABSENT in other.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["one", "--file", "x.txt"],
        ["--uuid", ABSENT, "one", "two"],
        ["--uuid", ABSENT, "-"],
        ["--uuid", ABSENT, "--file", "x.txt"],
        ["--uuid", "x", "one"],
        ["--file", "absent.txt"],
        ["one", "--format", "json"],
        ["one", "--wait", "soon"],
        ["one", "--timeout", "soon"],
        ["one", "--colour"],
        ["one", "--token-file", "absent.txt"],
        ["one", "--url", "nonsense"],
        ["one", "--url", "ftp://127.0.0.1"],
        ["one", "--url", "http://127.0.0.1:99999"],
    ],
)
def test_wrong_usage_of_add_is_reported(arguments: list[str]) -> None:
    assert code_of("add", *arguments) == 2


@on_sqlite
def test_many_lines_go_in_batches(service: str, http: httpx.Client, database: AnyDatabase) -> None:
    done = invoke(service, "add", "-", given="".join(f"{number}\n" for number in range(2500)))
    assert (done.code, len(set(done.lines)), database.count()) == (0, 2500, 2500)
    assert done.lines == sorted(done.lines)
    assert texts_of(http) == [str(number) for number in range(2500)]


@on_sqlite
def test_records_stored_before_an_error_are_printed_and_counted(service: str, database: AnyDatabase) -> None:
    given = b"text\n" * 1500 + b"\xff\n"
    done = invoke(service, "add", "-", given=given)
    assert (done.code, len(done.lines), database.count()) == (2, 1000, 1000)
    assert "1000 texts were stored before that" in done.err


@on_sqlite
def test_a_batch_that_is_too_large_for_the_server_goes_in_parts(shared_database: AnyDatabase) -> None:
    shared_database.wipe()
    small = Settings(database_url=shared_database.url, port=0, migrate=False, max_records=100, max_body=20_000)
    with served(small) as url:
        done = invoke(url, "add", "-", given="some text\n" * 1001)
    assert (done.code, len(set(done.lines)), shared_database.count()) == (0, 1001, 1001)


# --- list


@on_sqlite
@pytest.mark.parametrize(("arguments", "texts"), [([], "abc"), (["2"], "ab"), (["0"], ""), (["99"], "abc")])
def test_list_prints_records_in_their_order(service: str, http: httpx.Client, arguments: list[str], texts: str) -> None:
    keys = stored(http, "a", "b", "c")
    done = invoke(service, "list", *arguments)
    assert (done.code, done.err) == (0, "")
    assert done.out == "".join(f"{key}\t{text}\n" for key, text in zip(keys, texts, strict=False))


@on_sqlite
def test_list_starts_after_a_uuid(service: str, http: httpx.Client) -> None:
    keys = stored(http, "a", "b", "c", "d")
    assert invoke(service, "list", "--after", keys[1]).out == f"{keys[2]}\tc\n{keys[3]}\td\n"
    assert invoke(service, "list", "1", "--after", keys[0].upper()).out == f"{keys[1]}\tb\n"
    assert invoke(service, "list", "--after", keys[3]).out == ""


@on_sqlite
def test_list_has_every_format(service: str, http: httpx.Client) -> None:
    key, other = stored(http, "a,b", "c")
    records = [{"uuid": key, "text": "a,b"}, {"uuid": other, "text": "c"}]
    shown = {name: invoke(service, "list", "--format", name).out for name in ("text", "json", "ndjson", "csv")}
    assert shown["text"] == f"{key}\ta,b\n{other}\tc\n"
    assert json.loads(shown["json"]) == records
    assert [json.loads(line) for line in shown["ndjson"].splitlines()] == records
    assert list(csv.DictReader(StringIO(shown["csv"], newline=""))) == records
    table = invoke(service, "list", "--format", "table").lines
    assert [line.split() for line in table] == [["UUID", "TEXT"], [key, "a,b"], [other, "c"]]


@on_sqlite
@pytest.mark.parametrize(
    ("format_", "nothing"), [("text", ""), ("json", "[]\n"), ("ndjson", ""), ("csv", "uuid,text\r\n")]
)
def test_an_empty_store_is_an_empty_list(service: str, format_: str, nothing: str) -> None:
    done = invoke(service, "list", "--format", format_)
    assert (done.code, done.out, done.err) == (0, nothing, "")


def test_list_streams_more_than_a_page(service: str, http: httpx.Client) -> None:
    batch = [{"uuid": str(UUID(int=number)), "text": str(number)} for number in range(5000)]
    http.post("/new", json=batch)
    done = netvision(service, "list", "--format", "ndjson")
    assert [json.loads(line) for line in done.lines] == batch
    assert len(netvision(service, "list", "3456").lines) == 3456


@pytest.mark.parametrize(
    "arguments", [["-1"], ["x"], ["1" + "0" * 18], ["--after", "x"], ["--format", "xml"], ["1", "2"]]
)
def test_wrong_usage_of_list_is_reported(arguments: list[str]) -> None:
    assert code_of("list", *arguments) == 2


@pytest.mark.parametrize("count", ["abc", "1_0", "007", "+5", "1" + "0" * 18])
def test_what_is_no_count_is_told_what_one_is(count: str) -> None:
    done = invoke(NOWHERE, "list", count)
    assert done.code == 2
    assert f"'{count}' is not a count, a whole number such as 10" in done.err


# --- get


@on_sqlite
def test_get_prints_records_in_the_order_of_its_arguments(service: str, http: httpx.Client) -> None:
    first, second = stored(http, "a", "b")
    done = netvision(service, "get", second, first.upper(), second.replace("-", ""))
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{second}\tb\n{first}\ta\n{second}\tb\n"


@on_sqlite
def test_get_prints_those_that_are_there_and_names_those_that_are_not(service: str, http: httpx.Client) -> None:
    first, second = stored(http, "a", "b")
    done = invoke(service, "get", first, ABSENT, second, BESIDE)
    assert (done.code, done.out) == (4, f"{first}\ta\n{second}\tb\n")
    assert f"{ABSENT}, {BESIDE}" in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("command", ["get", "delete"])
@pytest.mark.parametrize(
    "key", ["x", "5", "{0192f0c4-5c5e-7000-8000-000000000001}", "urn:uuid:" + ABSENT, ABSENT + " ", ""]
)
def test_a_malformed_uuid_is_wrong_usage(command: str, key: str) -> None:
    assert code_of(command, ABSENT, key) == 2


# --- delete


def test_delete_prints_what_it_deleted(service: str, http: httpx.Client) -> None:
    keys = stored(http, "a", "b", "c")
    done = netvision(service, "delete", keys[2], keys[0])
    assert (done.code, done.out, done.err) == (0, f"{keys[2]}\tc\n{keys[0]}\ta\n", "")
    assert texts_of(http) == ["b"]


@on_sqlite
def test_delete_continues_after_an_absent_record(service: str, http: httpx.Client, database: AnyDatabase) -> None:
    first, second = stored(http, "a", "b")
    done = invoke(service, "delete", first, ABSENT, second, "--format", "json")
    assert (done.code, database.count()) == (4, 0)
    assert [record["uuid"] for record in json.loads(done.out)] == [first, second]
    assert ABSENT in done.err


@on_sqlite
def test_delete_takes_what_list_printed(service: str, http: httpx.Client, database: AnyDatabase) -> None:
    stored(http, "a\tb", "c\nd", "e")
    listed = invoke(service, "list", "2").out
    done = invoke(service, "delete", "-", given=listed)
    assert (done.code, done.out, database.count()) == (0, listed, 1)


@on_sqlite
def test_delete_takes_bare_uuids_from_standard_input(service: str, http: httpx.Client, database: AnyDatabase) -> None:
    keys = stored(http, "a", "b")
    assert invoke(service, "delete", "-", given=f"{keys[0]}\r\n\n{keys[1]}").code == 0
    assert database.count() == 0


@on_sqlite
def test_delete_of_everything_needs_a_yes_without_a_terminal(
    service: str, http: httpx.Client, database: AnyDatabase
) -> None:
    stored(http, "a", "b")
    done = invoke(service, "delete", "--all", given="y\n")
    assert (done.code, done.out, database.count()) == (2, "", 2)
    assert "--yes" in done.err


def test_delete_of_everything_with_a_yes_deletes_everything(
    service: str, http: httpx.Client, database: AnyDatabase
) -> None:
    http.post("/new", json=[{"text": str(number)} for number in range(300)])
    listed = invoke(service, "list").out
    done = invoke(service, "delete", "--all", "--yes")
    assert (done.code, database.count()) == (0, 0)
    assert sorted(done.lines) == listed.splitlines()


@on_sqlite
def test_delete_of_everything_requires_confirmation_on_a_terminal(
    service: str, http: httpx.Client, database: AnyDatabase
) -> None:
    keys = stored(http, "a", "b")
    code, shown = on_terminal(service, "delete", "--all", typed="n\n")
    assert (code != 0, database.count()) == (True, 2)
    assert f"This deletes every record at {service}, 2 of them. Go on? [y/N]" in shown
    code, shown = on_terminal(service, "delete", "--all", typed="y\n")
    assert (code, database.count()) == (0, 0)
    assert all(key in shown for key in keys)


@on_sqlite
def test_the_question_of_delete_goes_to_standard_error(
    service: str, http: httpx.Client, tmp_path: Path, database: AnyDatabase
) -> None:
    (key,) = stored(http, "a")
    with (tmp_path / "out").open("wb") as file:
        code, shown = on_terminal(service, "delete", "--all", typed="y\n", stdout=file)
    assert (code, database.count()) == (0, 0)
    assert "This deletes every record" in shown
    assert (tmp_path / "out").read_text() == f"{key}\ta\n"


@pytest.mark.parametrize("arguments", [[], ["--all", ABSENT], ["--all", "-"], ["-", "--format", "xml"]])
def test_wrong_usage_of_delete_is_reported(arguments: list[str]) -> None:
    assert code_of("delete", *arguments) == 2


@on_sqlite
def test_two_that_delete_everything_share_the_work(service: str, http: httpx.Client, database: AnyDatabase) -> None:
    http.post("/new", json=[{"uuid": str(uuid4()), "text": "x"} for _ in range(400)])
    lines: list[str] = []
    threads = [
        threading.Thread(target=lambda: lines.extend(netvision(service, "delete", "--all", "--yes").lines))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(lines), len(set(lines)), database.count()) == (400, 400, 0)


@on_sqlite
def test_an_error_of_a_deletion_says_how_many_records_are_deleted(http: httpx.Client) -> None:
    (key,) = stored(http, "a")
    keys = iter([key])

    def answer(_request: bytes) -> bytes:
        known = next(keys, None)
        return http_answer("200 OK", http.get(f"/{known}").text) if known else http_answer("500 Oops")

    with raw_server(answer, keeps=True) as server:
        done = invoke(server.url, "delete", key, ABSENT)
    assert (done.code, done.out) == (1, f"{key}\ta\n")
    assert "1 record was deleted before that" in done.err


# --- status


@on_sqlite
def test_status_describes_a_server_that_is_ready(service: str) -> None:
    done = netvision(service, "status")
    assert (done.code, done.err, len(done.lines)) == (0, "", 1)
    for word in (service, "ready", " ms", "netvision 0", "SQLite"):
        assert word.lower() in done.out.lower()


def test_status_of_a_server_that_is_not_there_is_3() -> None:
    done = invoke(NOWHERE, "status")
    assert (done.code, done.out) == (3, "")
    assert done.err.startswith(f"Error: no server at {NOWHERE} (connection refused)")


def test_status_of_a_server_that_is_not_ready_gives_the_reason(empty_database: AnyDatabase) -> None:
    with served(Settings(database_url=empty_database.url, port=0, migrate=False)) as url:
        done = invoke(url, "status")
    assert (done.code, done.out) == (1, "")
    assert "netvision-api db upgrade" in done.err
    assert done.err.count("\n") == 1


@on_sqlite
def test_status_is_printed_as_json(service: str) -> None:
    done = invoke(service, "status", "--json")
    state = json.loads(done.out)
    assert (done.code, state["url"], state["status"], state["reason"]) == (0, service, "ready", None)
    assert state["milliseconds"] > 0
    assert state["version"]


@pytest.mark.parametrize("arguments", [["list"], ["get", ABSENT], ["add", "x"], ["delete", "--all", "--yes"]])
def test_every_command_passes_on_what_makes_a_server_ready(migrationless: str, arguments: list[str]) -> None:
    done = invoke(migrationless, *arguments)
    assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
    assert "run `netvision-api db upgrade`" in done.err
    assert "may be" not in done.err
