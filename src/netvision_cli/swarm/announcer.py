"""Where there is no live screen: lines on standard error when an outage begins and when it ends."""

import asyncio

from netvision_cli.output import print_status
from netvision_cli.swarm.outages import Outage, Outages

LOOK_SECONDS = 0.25
"""How often to look; no outage is so short that it could be missed."""


class OutageAnnouncer:
    """Announces each outage of a run twice."""

    def __init__(self, outages: Outages) -> None:
        self.outages = outages
        self.announced: Outage | None = None

    async def watch(self) -> None:
        """Announce outages until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.announce()

    def announce(self) -> None:
        """Announce what has changed since the last look."""
        current = self.outages.current
        if current is self.announced:
            return
        if self.announced and self.announced.ended is not None:
            seconds = self.announced.seconds(self.outages.now)
            print_status(f"{self.time_of(self.announced.ended)}: the server responds again, after {seconds:.1f} s")
        if current:
            print_status(f"{self.time_of(current.began)}: no response from the server: {current.error}")
        self.announced = current

    def time_of(self, seconds: float) -> str:
        """Write the time of a moment of the run."""
        return f"{self.outages.clock_time(seconds):%H:%M:%S} UTC"
