"""Servers as processes: how they start, what they use of the processor and of memory, and how they stop."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from time import perf_counter

import psutil

from tests.benchmarks.load import LoadError
from tests.servers import clean_environment

ROOT = Path(__file__).parents[2]
STOP_SECONDS = 10

find_url = re.compile(r"(?:listening|running) on (http://[\w.:]+)").search


@dataclass(frozen=True)
class Service:
    """A running server."""

    url: str
    pid: int


@contextmanager
def running(command: Sequence[str], environment: dict[str, str]) -> Iterator[Service]:
    """Run a module of Python as a server that says on standard error where it listens."""
    with subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env=clean_environment() | environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        rest = Thread(target=process.stderr.read)
        try:
            url = url_in(process.stderr)
            rest.start()
            yield Service(url, process.pid)
        finally:
            stop(process)
            if rest.is_alive():
                rest.join()


def url_in(lines: Iterable[str]) -> str:
    """Wait for the line that says where a server listens."""
    said = []
    for line in lines:
        said.append(line)
        if found := find_url(line):
            return found[1]
    raise LoadError(f"the server did not start: {''.join(said)}")


def stop(process: subprocess.Popen[str]) -> None:
    """Ask a process to stop; insist where it does not."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Finished:
    """A program that ran to its end."""

    output: str
    seconds: float
    cpu: float
    """Seconds of processor time."""


def finish(*command: str, **environment: str) -> Finished:
    """Run a program to its end; raises LoadError for an exit code but 0."""
    with TemporaryFile("w+") as output, TemporaryFile("w+") as words:
        began = perf_counter()
        process = subprocess.Popen(
            command, env=clean_environment() | environment, stdin=subprocess.DEVNULL, stdout=output, stderr=words
        )
        _, status, used = os.wait4(process.pid, 0)
        seconds = perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        words.seek(0)
        if process.returncode:
            raise LoadError(f"{' '.join(command)} ended with {process.returncode}: {words.read()}")
        return Finished(output.read(), seconds, used.ru_utime + used.ru_stime)


def script(name: str) -> str:
    """Return the path of a program that was installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def peak_memory(pid: int) -> float:
    """Return the most memory that a process ever held, in MiB; what it holds now, where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return float(psutil.Process(pid).memory_info().rss / 2**20)
    peak = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(peak[1]) / 2**10 if peak else 0.0


class Meter:
    """The processor time of a process and of those that it started."""

    def __init__(self, pid: int) -> None:
        """Take the first of the processes."""
        self.root = psutil.Process(pid)

    def started(self) -> Callable[[], float]:
        """Start to count; returns what tells the seconds since, without processes that ended meanwhile."""
        before = self.read()
        return lambda: sum(now - before.get(pid, 0.0) for pid, now in self.read().items())

    def read(self) -> dict[int, float]:
        """Return the seconds of each process so far."""
        return {process.pid: cpu_seconds(process) for process in (self.root, *self.root.children(recursive=True))}


def cpu_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process, in nanoseconds where the system counts them, else in ticks."""
    try:
        threads = os.scandir(f"/proc/{process.pid}/task")
        return sum(int(Path(thread.path, "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except (OSError, IndexError):
        pass
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)
