"""The benchmarks run, and their numbers tell of what happened."""

import asyncio
import json
from itertools import repeat
from pathlib import Path
from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.benchmarks.command import Part, measure
from tests.benchmarks.competitors import app, contending, on_postgresql, ours
from tests.benchmarks.load import Load, LoadError, drive, is_whole
from tests.benchmarks.machine import circumstances
from tests.benchmarks.measure import ask
from tests.benchmarks.plan import Plan
from tests.benchmarks.questions import DELETE, POST, READ, TEXT, request
from tests.benchmarks.report import save, show
from tests.benchmarks.storage import on_server
from tests.benchmarks.wrk import drive_wrk, is_installed
from tests.databases import AnyDatabase, PostgresqlDatabase

MOMENT = Load(connections=2, seconds=0.1)
TINY = Plan(rounds=1, seconds=0.1, connections=(2,), rows=500, minutes=0.01)

LOADS = [
    pytest.param(MOMENT, id="own"),
    pytest.param(
        Load(connections=2, seconds=1, by_wrk=True),
        id="wrk",
        marks=pytest.mark.skipif(not is_installed(), reason="no wrk"),
    ),
]
pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("part", list(Part))
def test_every_part_finds_something_and_writes_it_down(
    part: Part, postgresql: PostgresqlDatabase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = measure(part, TINY, postgresql)
    show(findings)
    save(part, findings, TINY, circumstances(), tmp_path)
    written = json.loads((tmp_path / f"{part}.json").read_text("utf-8"))
    assert written["rows"]
    assert all(value > 0 for row in written["rows"] for value in row.values() if isinstance(value, float))
    assert written["circumstances"]["python"]
    assert findings.title in capsys.readouterr().out
    ET.parse(tmp_path / f"{part}.svg")


async def test_every_response_is_counted_and_stored_once(service: str, database: AnyDatabase) -> None:
    bodies = iter([next(POST.requests([])) for _ in range(30)])
    outcome = await drive(service, bodies, Load(connections=4, seconds=60))
    assert outcome.count == 30
    assert await asyncio.to_thread(database.count) == 30 * POST.adds


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("path", ["/nothing-of-that-name", "/01900000-0000-7000-8000-000000000000"])
async def test_a_response_that_is_no_success_voids_the_measurement(service: str, path: str, load: Load) -> None:
    with pytest.raises(LoadError, match="no success"):
        await (drive_wrk if load.by_wrk else drive)(service, repeat(request("GET", path)), load)


@pytest.mark.parametrize("missing", [0, 1, 2, 3, 20])
def test_a_response_is_counted_when_it_is_complete(missing: int) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
    assert is_whole(answer[: len(answer) - missing]) is not bool(missing)


@pytest.mark.parametrize("load", LOADS)
async def test_a_server_that_forgets_what_it_acknowledged_is_not_measured(
    load: Load, postgresql: PostgresqlDatabase
) -> None:
    async with contending([app("forgetful")], on_postgresql(postgresql)) as [contender]:
        keys = await contender.records.hold(100)
        await ask(contender, READ, READ.requests(keys), load)
        for question in (POST, DELETE):
            with pytest.raises(LoadError, match="forgetful answered"):
                await ask(contender, question, question.requests(keys), load)


async def test_many_records_are_many_again_before_each_turn(postgresql: PostgresqlDatabase) -> None:
    async with contending([ours()], on_postgresql(postgresql)) as [contender]:
        records = on_server(contender.records)
        for stored, wanted in ((0, 100), (100, 200), (200, 150)):
            assert await records.count() == stored
            await records.refill(wanted)
            assert len(await records.some(1_000)) == max(stored, wanted)


async def test_all_competitors_respond_alike(postgresql: PostgresqlDatabase) -> None:
    everyone = [ours(), app("floor"), app("bare"), app("fastapi")]
    async with contending(everyone, on_postgresql(postgresql)) as contenders, httpx.AsyncClient() as client:
        for contender in contenders:
            [key] = await contender.records.hold(1)
            record = {"uuid": str(key), "text": TEXT}
            place = f"{contender.service.url}/{key}"
            assert (await client.get(place)).json() == record
            assert (await client.get(f"{contender.service.url}/10")).json() == [record]
            assert (await client.delete(place)).json() == record
            assert (await client.get(place)).status_code == 404
            stored = await client.post(f"{contender.service.url}/new", json=[{"text": "one"}, {"text": "two"}])
            assert stored.status_code == 201
            assert [each["text"] for each in stored.json()] == ["one", "two"]
            assert await contender.records.count() == 2
