"""Thresholds: what they can name, how they are judged, and which exit status follows."""

from dataclasses import fields
from typing import Any

import pytest
from typer.testing import CliRunner

from netvision_cli.cli import app
from netvision_cli.errors import NetvisionError, Refused, Unbalanced, Unchecked
from netvision_cli.swarm.command import exit_error
from netvision_cli.swarm.tally import Tally
from netvision_cli.swarm.thresholds import NAMES, UNITS, Threshold
from tests.cli.commands import Ended, invoke, netvision
from tests.cli.planted import PlantedServer, planted
from tests.cli.simulation import SimulatedServer
from tests.cli.summaries import summary_of
from tests.databases import on_sqlite

NOWHERE = "http://127.0.0.1:1"
CALLS: dict[str, Any] = {"count": 99, "rate": 9.9, "p50": 10.0, "p95": 40.0, "p99": 50.0, "p99.9": 60.0, "max": 70.0}
SUMMARY: dict[str, Any] = {
    "calls": {
        "insert": CALLS | {"errors": 1, "retries": 1},
        "fetch": CALLS | {"errors": 0, "retries": 0},
        "delete": CALLS | {"count": 0, "errors": 0, "retries": 0},
    },
    "rates": {"created": 250.0, "deleted": 249.5},
    "attempts": 199,
    "errors": 1,
    "retries": 1,
    "account": Tally(created=20, deleted=20).as_dict(),
    "cpu": 0.5,
}


def missed(expression: str, summary: dict[str, Any] = SUMMARY) -> bool:
    return Threshold.parse(expression).judge(summary).missed


@pytest.mark.parametrize(
    ("expression", "is_missed"),
    [
        ("insert.p99>50ms", False),
        ("insert.p99>=50ms", True),
        ("insert.p99 > 0.0499s", True),
        ("insert.p99.9<1m", True),
        ("deleted.rate<500", True),
        ("deleted.rate<249.5/s", False),
        ("errors>0", True),
        ("errors>0.6%", False),
        ("errors>0.5%", True),
        ("insert.errors>=1%", True),
        ("fetch.errors>0%", False),
        ("lost>0", False),
        ("cpu>90%", False),
        ("created<20", False),
        ("insert.count<=99", True),
    ],
)
def test_an_expression_is_true_or_false_of_a_run(expression: str, is_missed: bool) -> None:  # noqa: FBT001
    assert missed(expression) is is_missed


@pytest.mark.parametrize("expression", ["delete.p99>1h", "delete.errors>50%", "response.max>1h"])
def test_what_was_never_measured_fails(expression: str) -> None:
    judged = Threshold.parse(expression).judge(SUMMARY)
    assert (judged.missed, judged.shown) == (True, "never measured")
    assert "never measured, required" in str(judged)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("insert.p99>50ms", "✓ insert.p99 50 ms ≤ 50 ms"),
        ("insert.p99>=0.05s", "✗ insert.p99 50 ms ≥ 50 ms"),
        ("deleted.rate<250", "✗ deleted.rate 249.5/s < 250/s"),
        ("deleted.rate<=249", "✓ deleted.rate 249.5/s > 249/s"),
        ("insert.errors>1.5%", "✓ insert.errors 1% ≤ 1.5%"),
        ("lost>0", "✓ lost 0 ≤ 0"),
    ],
)
def test_a_threshold_reads_as_the_bound_that_was_kept_or_broken(text: str, shown: str) -> None:
    assert str(Threshold.parse(text).judge(SUMMARY)) == shown


@pytest.mark.parametrize("name", UNITS)
def test_every_name_is_accepted_and_listed(name: str) -> None:
    unit = UNITS[name]
    assert Threshold.parse(f"{name}>1{unit}").name == name
    assert name in NAMES or all(part in NAMES for part in (name.split(".", maxsplit=1)[0], f".{name.split('.', 1)[1]}"))


def test_every_number_of_the_account_is_accepted() -> None:
    assert {field.name for field in fields(Tally)} <= set(UNITS)


@pytest.mark.parametrize(
    "expression",
    [
        *("", "p99>50ms", "delete.p98>50ms", "response.errors>1", "delete.p99=50ms", "delete.p99>"),
        *("delete.p99>50", "delete.p99>50%", "delete.p99>-1ms", "delete.p99>1e3ms"),
        *("lost>1%", "errors>1ms", "deleted.rate<5ms", "cpu>1"),
    ],
)
def test_a_wrong_expression_is_refused_at_once(expression: str) -> None:
    result = CliRunner(env={"NETVISION_URL": NOWHERE}).invoke(app, ["swarm", "--wait", "1h", "--fail-if", expression])
    assert (result.exit_code, result.stdout) == (2, "")


def test_the_error_for_a_wrong_name_lists_the_valid_names() -> None:
    done = invoke(NOWHERE, "swarm", "--fail-if", "delay.p99>50ms")
    assert done.code == 2
    assert all(name in done.err for name in ("delay.p99", "response", "deleted.rate", "resurrected"))


def test_response_times_require_a_rate() -> None:
    done = invoke(NOWHERE, "swarm", "--fail-if", "response.p99>50ms")
    assert done.code == 2
    assert "--rate" in done.err


@on_sqlite
def test_a_run_within_its_thresholds_shows_them_and_ends_well(service: str) -> None:
    done = netvision(service, "swarm", "--records", "50", "--json", *fail_if("delete.p99>1h", "errors>0.1%"))
    assert done.code == 0, done.err
    judged = summary_of(done)["thresholds"]
    assert [(one["fail_if"], one["missed"]) for one in judged] == [("delete.p99>1h", False), ("errors>0.1%", False)]
    assert judged[0]["value"] == summary_of(done)["calls"]["delete"]["p99"]
    assert done.err.count("\n✓ ") == 2


@on_sqlite
def test_a_failed_threshold_exits_with_status_99(service: str) -> None:
    done = netvision(service, "swarm", "--records", "50", "--json", *fail_if("deleted.rate<1000000", "lost>0"))
    assert done.code == 99
    missing, passed = summary_of(done)["thresholds"]
    assert (missing["missed"], passed["missed"]) == (True, False)
    assert f"Error: the run was to fail if deleted.rate<1000000 (it was {missing['value']:,.10g}/s)\n" in done.err


def test_errors_that_retries_overcame_can_be_too_many() -> None:
    with planted(PlantedServer(SimulatedServer(1), overloads=0.2)) as url:
        done: Ended = netvision(url, "swarm", "--records", "300", *fail_if("errors>5%"))
    assert done.code == 99


def fail_if(*expressions: str) -> list[str]:
    return [word for expression in expressions for word in ("--fail-if", expression)]


@pytest.mark.parametrize(
    ("balances", "failure", "code"),
    [
        (False, None, 5),
        (True, Unchecked("no read"), 6),
        (True, Refused("no"), 4),
        (True, None, 99),
    ],
)
def test_harm_and_an_early_end_come_before_a_threshold(
    balances: bool,  # noqa: FBT001
    failure: NetvisionError | None,
    code: int,
) -> None:
    summary = {
        "checked": not failure,
        "balances": balances,
        "verdict": "",
        "thresholds": [{"fail_if": "errors>0", "value": 1, "unit": "", "missed": True}],
    }
    error = exit_error(summary, failure)
    assert error
    assert error.exit_code == code
    assert isinstance(error, Unbalanced) or balances


def test_outages_are_judged_by_those_of_writes_or_of_reads_whichever_were_worse() -> None:
    writes = {"count": 1, "total": 2.5, "longest": 2.5, "availability": 97.5}
    reads = {"count": 2, "total": 1.5, "longest": 1.0, "availability": 98.5}
    summary = SUMMARY | {"outages": {"count": 0, "writes": writes, "reads": reads}}
    values = {"outage.max>2s": True, "outage.total>3s": False, "outage.count>1": True, "availability<98%": True}
    assert {expression: missed(expression, summary) for expression in values} == values
    assert missed("outage.max>1h"), "what was never measured fails"
