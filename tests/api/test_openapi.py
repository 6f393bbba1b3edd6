"""The OpenAPI document: valid, complete, and true to the running service."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from jsonschema_rs import Draft202012Validator
from schemathesis import Case, GenerationMode, Response
from schemathesis.checks import not_a_server_error
from schemathesis.engine.recorder import ScenarioRecorder
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance
from schemathesis.specs.openapi.schemas import OpenApiSchema

from netvision_api import __version__
from netvision_api.app import create_app
from netvision_api.http.openapi import document_of
from netvision_api.settings import Settings
from tests.api.services import service_on
from tests.databases import AnyDatabase

OPERATIONS = [
    ("/new", "POST"),
    ("/all", "GET"),
    ("/{key}", "GET"),
    ("/{key}", "DELETE"),
    ("/health/live", "GET"),
    ("/health/ready", "GET"),
    ("/metrics", "GET"),
]
TOKEN = "t" * 32
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
RECORD_FORMATS = {"application/json", "application/x-ndjson", "text/csv"}
FEW = settings(
    max_examples=15,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def schema(shared_service: str) -> OpenApiSchema:
    """The document as Schemathesis reads it from the running service."""
    return schemathesis.openapi.from_url(f"{shared_service}/schema/openapi.json")


@pytest.fixture(scope="module")
def protected(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenApiSchema]:
    """The document of a service that asks for a token."""
    with service_on(tmp_path_factory.mktemp("protected"), token=TOKEN) as service:
        yield schemathesis.openapi.from_url(f"{service.url}/schema/openapi.json", headers=AUTHORIZED)


@pytest.fixture
def document(http: httpx.Client) -> dict[str, Any]:
    """The document."""
    answer = http.get("/schema/openapi.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    body: dict[str, Any] = answer.json()
    return body


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method.upper(), operation


@pytest.mark.usefixtures("service")
def test_the_document_is_valid_openapi_3_1(schema: OpenApiSchema, document: dict[str, Any]) -> None:
    schema.validate()
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["version"] == __version__


def test_the_document_declares_every_endpoint(document: dict[str, Any]) -> None:
    assert {(path, method) for path, method, _ in operations(document)} == set(OPERATIONS)


def test_every_operation_has_a_name_and_a_summary_of_its_own_for_people(document: dict[str, Any]) -> None:
    for member in ("operationId", "summary"):
        names = [operation[member] for _, _, operation in operations(document)]
        assert len(set(names)) == len(names) == len(OPERATIONS)
    assert all(" " in operation["summary"] for _, _, operation in operations(document))
    assert "A 2xx is a promise" in document["info"]["description"]


def test_a_key_says_both_of_its_meanings(document: dict[str, Any]) -> None:
    count, uuid = document["paths"]["/{key}"]["get"]["parameters"][0]["schema"]["oneOf"]
    assert "first records" in count["description"]
    assert "record with this uuid" in uuid["description"]


def test_every_body_and_response_has_an_example_that_its_schema_allows(document: dict[str, Any]) -> None:
    checked = 0
    for path, method, operation in operations(document):
        bodies = [operation["requestBody"]] if "requestBody" in operation else []
        for body in (*bodies, *operation["responses"].values()):
            for media_type, content in body["content"].items():
                assert content["examples"], (path, method, media_type)
                schema = {**content["schema"], "components": document["components"]}
                for example in content["examples"].values():
                    Draft202012Validator(schema).validate(example["value"])
                    checked += 1
    assert checked > len(OPERATIONS)


def test_what_was_stored_links_to_reading_and_deleting_it(document: dict[str, Any]) -> None:
    names = {operation["operationId"]: (path, method) for path, method, operation in operations(document)}
    for status in ("200", "201"):
        links = document["paths"]["/new"]["post"]["responses"][status]["links"].values()
        targets = {names[link["operationId"]] for link in links}
        assert targets == {("/{key}", "GET"), ("/{key}", "DELETE")}


def test_records_are_declared_in_three_formats(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        if not path.startswith(("/health", "/metrics")):
            assert set(operation["responses"]["200"]["content"]) == RECORD_FORMATS, (path, method)


def test_errors_are_declared_as_problems(document: dict[str, Any]) -> None:
    for path, method, operation in operations(document):
        for status, response in operation["responses"].items():
            if status[0] in "45" and not path.startswith("/health"):
                assert set(response["content"]) == {"application/problem+json"}, (path, method, status)


def check_operation(schema: OpenApiSchema, path: str, method: str, mode: GenerationMode) -> None:
    """Send generated requests, and run every check of Schemathesis on the answers."""

    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    @FEW
    def check(case: Case[Any]) -> None:
        validate(case, case.call())

    check()


def validate(case: Case[Any], response: Response, recorder: ScenarioRecorder | None = None) -> None:
    """Run every check on an answer, but for one that asks for what JSON Schema cannot say.

    A uuid may not occur twice in a batch; a generated one that holds it twice fits the schema and is rightly refused.
    """
    twice = b"urn:netvision:problem:duplicate-uuid" in response.content
    case.validate_response(response, excluded_checks=[positive_data_acceptance] if twice else [], recorder=recorder)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_valid_requests_get_the_documented_responses(schema: OpenApiSchema, path: str, method: str) -> None:
    check_operation(schema, path, method, GenerationMode.POSITIVE)


@pytest.mark.usefixtures("service")
@pytest.mark.parametrize(("path", "method"), [each for each in OPERATIONS if each[0] in {"/new", "/{key}"}])
def test_invalid_requests_get_the_documented_errors(schema: OpenApiSchema, path: str, method: str) -> None:
    check_operation(schema, path, method, GenerationMode.NEGATIVE)


def test_the_documented_links_work(schema: OpenApiSchema, database: AnyDatabase) -> None:
    class Machine(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            super().setup()
            database.wipe()

        def validate_response(self, response: Response, case: Case[Any], **_: object) -> None:
            validate(case, response, recorder=self.recorder)

    Machine.run(settings=settings(FEW, stateful_step_count=6))


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_an_operation_requires_a_token_exactly_as_documented(protected: OpenApiSchema, path: str, method: str) -> None:
    """The check of Schemathesis repeats what has succeeded without a token, and with a wrong one."""

    @given(case=protected[path][method].as_strategy())
    @FEW
    def check(case: Case[Any]) -> None:
        case.call_and_validate(headers=AUTHORIZED, checks=[ignored_auth, not_a_server_error])
        is_open = case.call(headers={}).status_code != 401
        assert is_open == path.startswith("/health")

    check()


@pytest.mark.parametrize("token", [None, TOKEN], ids=["open", "protected"])
def test_every_operation_says_whether_it_needs_a_token(token: str | None) -> None:
    document = document_of(create_app(Settings(token=token)))
    for path, _, operation in operations(document):
        is_optional = token is None or path.startswith("/health")
        assert operation["security"] == ([{}, {"bearer": []}] if is_optional else [{"bearer": []}]), path
    assert "bearer" in document["components"]["securitySchemes"]
