"""Everything in one command: a server on a temporary database and a swarm beside it, and no traces afterwards."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Thread

from netvision_cli.errors import ServerError
from netvision_cli.options import Connection
from netvision_cli.output import print_status
from netvision_cli.swarm.command import run_swarm
from netvision_cli.swarm.options import SwarmOptions

DURATION_SECONDS = 30.0
STOP_SECONDS = 15
ANNOUNCEMENT = "listening on "


def run_demo(options: SwarmOptions) -> None:
    """Start a server, run the swarm against it, stop both."""
    if options.duration is None and options.records is None:
        options = replace(options, duration=DURATION_SECONDS)
    interrupt_on_signals()
    with tempfile.TemporaryDirectory(prefix="netvision-") as folder, server(Path(folder)) as url:
        print_status(f"a netvision-api with a temporary SQLite database listens on {url}; this is the swarm:")
        run_swarm(Connection(url=url), options, "demo")


def interrupt_on_signals() -> None:
    """Handle the signals that would end this process at once like Ctrl-C, so that it cleans up."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Run a server with its database in a folder; yields its URL.

    It has a session of its own, or Ctrl-C would stop it before the swarm is done, and it stops when its standard input
    closes, as that does with this process.
    """
    command = [sys.executable, "-m", "netvision_api", "serve", "--port", "0", "--until-stdin-closes"]
    settings = {"NETVISION_DATABASE_URL": f"sqlite:///{folder / 'demo.db'}"}
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NETVISION_")}
    process = subprocess.Popen(  # noqa: S603 - our own server
        command,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment | settings,
        text=True,
        start_new_session=True,
    )
    try:
        yield announced_url(process)
    finally:
        interrupt_on_signals()
        stop(process)


def announced_url(process: "subprocess.Popen[str]") -> str:
    """Wait until the server announces its URL; from then on forward what it prints."""
    printed: list[str] = []
    for line in process.stderr or ():
        if line.startswith(ANNOUNCEMENT):
            Thread(target=forward, args=(process.stderr,), daemon=True).start()
            return line.removeprefix(ANNOUNCEMENT).strip()
        printed.append(line)
    msg = f"the server did not start: {''.join(printed).strip() or 'it printed nothing'}"
    raise ServerError(msg)


def forward(lines: Iterable[str]) -> None:
    """Forward the server's lines to the current standard error: a panel may have redirected it."""
    for line in lines:
        sys.stderr.write(line)


def stop(process: "subprocess.Popen[str]") -> None:
    """Stop the server, by force if it takes too long."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
