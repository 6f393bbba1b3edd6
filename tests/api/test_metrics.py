"""The metrics: readable for Prometheus, true, bounded whatever is asked for, and one answer for all workers."""

import os
import re
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from stat import S_IMODE
from uuid import uuid4

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from netvision_api.http.metrics import MULTIPROC_DIR, shared_by_workers
from tests.api.services import Service, service_on
from tests.databases import PostgresqlDatabase
from tests.servers import server_process, wait_until

Labels = tuple[str, str, str]
KEY = "0192f0c4-5c5e-7000-8000-000000000001"


@pytest.fixture
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that has served nothing yet."""
    with service_on(tmp_path_factory.mktemp("metrics")) as running:
        yield running


def samples(url: str, name: str) -> dict[Labels, float]:
    """Read the samples of one name, by method, route and status."""
    answer = httpx.get(f"{url}/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        (labels.get("method", ""), labels.get("route", ""), labels.get("status", "")): value
        for family in text_string_to_metric_families(answer.text)
        for sample_name, labels, value, *_ in family.samples
        if sample_name == name
    }


def counts(url: str) -> dict[Labels, float]:
    return samples(url, "netvision_request_seconds_count")


def test_requests_are_counted_by_method_route_and_status(service: Service) -> None:
    asked = [
        ("GET", "/5", ("GET", "/{count}", "200")),
        ("GET", "/7", ("GET", "/{count}", "200")),
        ("HEAD", "/7", ("HEAD", "/{count}", "200")),
        ("GET", f"/{KEY}", ("GET", "/{uuid}", "404")),
        ("DELETE", f"/{KEY.upper()}", ("DELETE", "/{uuid}", "404")),
        ("GET", "/all", ("GET", "/all", "200")),
        ("PUT", "/all", ("other", "/all", "405")),
        ("PROPFIND", "/x/y", ("other", "other", "404")),
        ("POST", "/new", ("POST", "/new", "415")),
        ("GET", "/abc", ("GET", "other", "404")),
        ("GET", "/health/live", ("GET", "/health/live", "200")),
    ]
    for method, path, _ in asked:
        service.request(method, path)
    service.request("GET", "/5", headers={"Host": "evil.example"})
    assert counts(service.url) == Counter([*(labels for *_, labels in asked), ("GET", "/{count}", "421")])
    assert counts(service.url)["GET", "/metrics", "200"] == 1


def test_records_are_counted_when_they_are_stored_and_deleted_and_not_when_they_are_not(service: Service) -> None:
    batch = [{"uuid": KEY, "text": "a"}, {"text": "b"}]
    counted = []
    deletion = ("DELETE", f"/{KEY}", None)
    for method, path, body in [("POST", "/new", batch), ("POST", "/new", batch[:1]), deletion, deletion]:
        service.request(method, path, json=body)
        text = service.request("GET", "/metrics").text
        counted.append(dict(re.findall(r'^netvision_records_total\{operation="(\w+)"\} (.*)', text, re.MULTILINE)))
    expected = [("2.0", "0.0"), ("2.0", "0.0"), ("2.0", "1.0"), ("2.0", "1.0")]
    assert [(each["stored"], each["deleted"]) for each in counted] == expected


def test_a_duration_is_noted_with_every_request(service: Service) -> None:
    service.request("GET", "/5")
    labels = ("GET", "/{count}", "200")
    assert 0 < samples(service.url, "netvision_request_seconds_sum")[labels] < 60


def test_there_are_as_many_series_as_routes_for_any_requests(service: Service) -> None:
    for _ in range(15):
        word = secrets.token_hex(5)
        for path in (
            f"/x{word}",
            f"/{uuid4()}",
            f"/{secrets.randbelow(10**9)}",
            f"/all/{word}",
            f"/5?{word}",
            f"/{word}%00",
        ):
            service.request("GET", path)
    for method in ("PATCH", "TRACE", "LOCK", "REPORT", "QUERY", "PURGE"):
        service.request(method, "/5")
    assert {labels[:2] for labels in counts(service.url)} <= {
        ("GET", "other"),
        ("GET", "/{uuid}"),
        ("GET", "/{count}"),
        ("GET", "/metrics"),
        ("other", "/{count}"),
    }


def test_nothing_is_in_flight_but_the_question(service: Service) -> None:
    assert samples(service.url, "netvision_requests_in_flight") == {("", "", ""): 1}


def test_a_folder_that_others_chose_for_their_metrics_is_left_alone(tmp_path: Path) -> None:
    theirs = tmp_path / "gauge_livesum_999999999.db"
    theirs.write_bytes(b"theirs")
    environment = {"NETVISION_DATABASE_URL": f"sqlite:///{tmp_path / 'records.db'}"}
    for folder in (tmp_path, tmp_path / "missing"):
        with server_process(PROMETHEUS_MULTIPROC_DIR=str(folder), **environment) as server:
            assert counts(server.url()) == {}
            assert counts(server.url())["GET", "/metrics", "200"] == 1
            assert server.stop() == 0
    assert [file.name for file in tmp_path.glob("*") if "records.db" not in file.name] == [theirs.name]


def test_each_of_several_workers_reports_for_all(postgresql: PostgresqlDatabase) -> None:
    url = postgresql.sibling("netvision_metrics").url
    with server_process("--workers", "2", "--migrate", "--grace", "1s", NETVISION_DATABASE_URL=url) as server:
        address = server.url()
        wait_until(lambda: httpx.get(f"{address}/health/ready").status_code == 200)
        for _ in range(40):
            httpx.get(f"{address}/0")
        wait_until(lambda: counts(address)["GET", "/{count}", "200"] == 40)
        assert [counts(address)["GET", "/{count}", "200"] for _ in range(8)] == [40] * 8
        assert samples(address, "netvision_requests_in_flight")["", "", ""] == 1


def test_the_folder_that_workers_share_is_for_its_owner_alone() -> None:
    with shared_by_workers():
        folder = Path(os.environ[MULTIPROC_DIR])
        assert S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()
