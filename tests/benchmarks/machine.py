"""Where and when something was measured, and with which versions."""

import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil

import netvision_api

PACKAGES = (
    *("netvision", "litestar", "advanced-alchemy", "sqlalchemy", "asyncpg", "aiosqlite", "msgspec"),
    *("uvicorn", "uvloop", "httptools", "fastapi", "pydantic"),
)


def circumstances() -> dict[str, str]:
    """Describe the machine, the day and the software."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "machine": f"{processor()}, {psutil.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": commit(),
        **{package: version(package) for package in PACKAGES},
    }


def processor() -> str:
    """Name the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def commit() -> str:
    """Name the commit of the server that is measured, if git knows."""
    folder = Path(str(netvision_api.__file__)).parent
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
