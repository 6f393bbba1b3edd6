"""POST /new: all or nothing, safe to repeat, and in the order of the input."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.databases import AnyDatabase

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=200)


def test_a_batch_comes_back_in_input_order_with_ascending_uuids_of_version_7(http: httpx.Client) -> None:
    answer = http.post("/new", json=[{"text": "b"}, {"text": "a"}, {"text": "b"}])
    assert answer.status_code == 201
    assert [record["text"] for record in answer.json()] == ["b", "a", "b"]
    keys = [UUID(record["uuid"]) for record in answer.json()]
    assert keys == sorted(keys)
    assert {key.version for key in keys} == {7}


def test_a_record_has_its_two_members_in_order(http: httpx.Client) -> None:
    answer = http.post("/new", json={"uuid": "0192F0C45C5E70008000000000000001", "text": "x"})
    assert answer.text == '{"uuid":"0192f0c4-5c5e-7000-8000-000000000001","text":"x"}'


def test_a_single_object_gets_a_single_object_back(http: httpx.Client) -> None:
    answer = http.post("/new", json={"uuid": None, "text": "x"})
    assert answer.status_code == 201
    assert answer.json()["text"] == "x"


def test_an_empty_batch_stores_nothing(http: httpx.Client, database: AnyDatabase) -> None:
    answer = http.post("/new", json=[])
    assert (answer.status_code, answer.json(), database.count()) == (200, [], 0)


def test_a_batch_can_be_repeated(http: httpx.Client, database: AnyDatabase) -> None:
    batch = [{"uuid": str(uuid4()), "text": text} for text in ("a", "b")]
    first, again = http.post("/new", json=batch), http.post("/new", json=batch)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.content == again.content
    assert database.count() == 2


def test_a_batch_that_is_new_in_part_is_201(http: httpx.Client, database: AnyDatabase) -> None:
    batch = [{"uuid": str(uuid4()), "text": "a"}]
    http.post("/new", json=batch)
    answer = http.post("/new", json=[*batch, {"text": "b"}])
    assert (answer.status_code, database.count()) == (201, 2)


def test_a_conflict_stores_nothing_and_points_at_each(http: httpx.Client, database: AnyDatabase) -> None:
    taken = [{"uuid": str(uuid4()), "text": "a"}, {"uuid": str(uuid4()), "text": "b"}]
    http.post("/new", json=taken)
    batch = [{"text": "new"}, {**taken[0], "text": "other"}, taken[1], {**taken[1], "uuid": str(uuid4())}]
    answer = http.post("/new", json=batch)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:netvision:problem:uuid-conflict"
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/1/uuid"]
    assert database.count() == 2


def test_at_most_twenty_errors_are_listed(http: httpx.Client) -> None:
    taken = [{"uuid": str(uuid4()), "text": "a"} for _ in range(30)]
    http.post("/new", json=taken)
    answer = http.post("/new", json=[{**record, "text": "b"} for record in taken])
    assert len(answer.json()["errors"]) == 20


def test_a_uuid_twice_in_a_batch_stores_nothing(http: httpx.Client, database: AnyDatabase) -> None:
    key = uuid4()
    batch = [{"uuid": str(key), "text": "a"}, {"text": "b"}, {"uuid": key.hex.upper(), "text": "a"}]
    answer = http.post("/new", json=batch)
    assert (answer.status_code, database.count()) == (400, 0)
    assert answer.json()["type"] == "urn:netvision:problem:duplicate-uuid"
    assert [error["pointer"] for error in answer.json()["errors"]] == ["#/2/uuid"]


def test_overlapping_batches_do_not_deadlock(service: str, database: AnyDatabase) -> None:
    batch = [{"uuid": str(uuid4()), "text": "a"} for _ in range(200)]

    def store(number: int) -> int:
        turned = batch if number % 2 else batch[::-1]
        return httpx.post(f"{service}/new", json=turned, timeout=30).status_code

    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(store, range(16)))
    assert sorted(codes) == [200] * 15 + [201]
    assert database.count() == 200


def test_the_largest_batch_is_stored_and_can_be_repeated(http: httpx.Client, database: AnyDatabase) -> None:
    batch = [{"uuid": str(UUID(int=number)), "text": str(number)} for number in range(10_000)]
    assert http.post("/new", json=batch).status_code == 201
    assert http.post("/new", json=batch).status_code == 200
    assert database.count() == 10_000


@given(texts=st.lists(TEXTS, max_size=20))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_comes_back_as_it_was_sent(http: httpx.Client, texts: list[str]) -> None:
    stored = http.post("/new", json=[{"text": text} for text in texts]).json()
    assert [record["text"] for record in stored] == texts
    assert [http.get(f"/{record['uuid']}").json() for record in stored] == stored
