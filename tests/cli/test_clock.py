"""The durations that a swarm measures: finer than the clock of its event loop."""

import asyncio
import time

from netvision_cli.client import Client
from netvision_cli.swarm.command import loop_factory
from netvision_cli.swarm.options import Range, SwarmOptions
from netvision_cli.swarm.workload import Workload
from tests.cli.planted import PlantedServer, planted
from tests.cli.simulation import SimulatedServer

SECONDS = {"POST": 0.000_3, "GET": 0.000_7, "DELETE": 0.001_5}
OPTIONS = SwarmOptions(records=150, producers=1, consumers=1, batch=Range(2, 4), backlog=4)
ERROR = 0.99
"""A percentile of the histogram is known to within one per cent."""


class Slow(PlantedServer):
    """Takes a known time for each kind of request."""

    def work(self, method: str, target: str, body: bytes) -> object:
        time.sleep(SECONDS[method])
        return super().work(method, target, body)


def run_against(url: str) -> Workload:
    async def run() -> Workload:
        async with Client(url) as client:
            workload = Workload(client, OPTIONS, seed=1)
            await workload.run()
            return workload

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(run())


def test_durations_of_less_than_a_millisecond_are_told_apart() -> None:
    with planted(Slow(SimulatedServer(1))) as url:
        calls = run_against(url).caller.calls
    shortest = {kind: durations.durations.percentile(0) for kind, durations in calls.items()}
    assert shortest["insert"] >= SECONDS["POST"] * ERROR
    assert shortest["fetch"] >= SECONDS["GET"] * ERROR
    assert shortest["delete"] >= SECONDS["DELETE"] * ERROR
    assert shortest["insert"] < shortest["fetch"] < shortest["delete"]
    assert not any((1000 * called.durations.longest).is_integer() for called in calls.values())
