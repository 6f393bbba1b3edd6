"""When a server counts as away, on a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netvision_cli.swarm.announcer import OutageAnnouncer
from netvision_cli.swarm.outages import MAX_PERIODS, MIN_SECONDS, Outages
from netvision_cli.swarm.summary import outage_lines

START = 1000.0


class Run:
    """Calls that fail or get a response at known seconds of a run."""

    def __init__(self) -> None:
        self.now = START
        self.outages = Outages(lambda: self.now)

    def fail(self, sent: float, at: float, error: str = "refused") -> None:
        self.now = START + at
        self.outages.fail(START + sent, error)

    def respond(self, at: float) -> None:
        self.now = START + at
        self.outages.respond()

    def periods(self) -> list[tuple[float, float, str]]:
        periods = self.outages.as_dict()["periods"]
        return [(period["began"], period["seconds"], period["error"]) for period in periods]


def test_an_outage_lasts_from_the_response_before_it_to_the_next_one_and_has_the_first_error() -> None:
    run = Run()
    run.respond(at=3)
    run.fail(sent=2, at=4)
    run.fail(sent=5, at=6, error="another")
    run.respond(at=8)
    run.respond(at=9)
    assert run.periods() == [(3, 5, "refused")]


def test_an_outage_begins_no_earlier_than_a_call_that_was_waiting() -> None:
    run = Run()
    run.respond(at=1)
    run.fail(sent=50, at=60)
    run.fail(sent=45, at=61)
    run.respond(at=62)
    assert run.periods() == [(45, 17, "refused")]


def test_errors_between_responses_are_no_outage() -> None:
    run = Run()
    for tick in range(100):
        run.fail(sent=tick * MIN_SECONDS / 2, at=tick * MIN_SECONDS / 2)
        assert run.outages.current is None
        run.respond(at=(tick + 0.9) * MIN_SECONDS / 2)
    figures = run.outages.as_dict()
    assert figures == {
        "count": 0,
        "total": 0,
        "watched": pytest.approx(24.975),
        "availability": 100,
        "longest": 0,
        "periods": [],
    }


def test_an_outage_at_either_end_of_the_run_counts() -> None:
    run = Run()
    run.fail(sent=0, at=1)
    run.respond(at=2)
    run.fail(sent=3, at=3)
    run.now = START + 10
    figures = run.outages.as_dict()
    assert (figures["count"], figures["total"], figures["longest"]) == (2, 9, 7)
    assert [period["has_ended"] for period in figures["periods"]] == [True, False]


@given(st.lists(st.tuples(st.floats(0.01, 5), st.booleans()), max_size=200))
def test_the_numbers_agree_with_the_periods_and_no_period_overlaps_another(steps: list[tuple[float, bool]]) -> None:
    run, now = Run(), 0.0
    for seconds, is_failure in steps:
        sent, now = now, now + seconds
        if is_failure:
            run.fail(sent=sent, at=now)
        else:
            run.respond(at=now)
    figures, periods = run.outages.as_dict(), run.periods()
    assert figures["count"] == len(periods)
    assert figures["total"] == pytest.approx(sum(seconds for _, seconds, _ in periods), abs=0.1)
    assert figures["longest"] == max((seconds for _, seconds, _ in periods), default=0)
    ends = [0.0, *(began + seconds for began, seconds, _ in periods)]
    assert all(end <= began + 0.002 for end, (began, _, _) in zip(ends, periods, strict=False))


def test_the_outages_of_a_long_run_are_all_counted_and_the_last_ones_kept() -> None:
    run = Run()
    for second in range(0, 4 * MAX_PERIODS, 2):
        run.fail(sent=second, at=second)
        run.respond(at=second + 1)
    figures = run.outages.as_dict()
    assert (figures["count"], figures["total"], len(figures["periods"])) == (2 * MAX_PERIODS, 2 * MAX_PERIODS, 1000)
    shown = list(outage_lines(figures))
    assert shown[1] == "2000 outages, 2000.0 s in total, the longest 1.0 s:"
    assert shown[-1] == "  and 1990 more"


def test_an_outage_is_announced_when_it_begins_and_when_it_ends(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run()
    announcer = OutageAnnouncer(run.outages)
    run.fail(sent=0, at=0.1)
    announcer.announce()
    assert capsys.readouterr().err == ""
    run.fail(sent=1, at=1)
    announcer.announce()
    announcer.announce()
    assert capsys.readouterr().err.endswith(": no response from the server: refused\n")
    run.respond(at=3)
    run.fail(sent=3, at=4)
    announcer.announce()
    ended, begun = capsys.readouterr().err.splitlines()
    assert ended.endswith(": the server responds again, after 3.0 s")
    assert begun.endswith(": no response from the server: refused")
