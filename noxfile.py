#!/usr/bin/env -S uv run --script
"""What can be run on this project: `nox --list` tells."""

# /// script
# dependencies = ["nox>=2025.10"]
# ///

import nox

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests", "lint", "typecheck"]

PYTHONS = ["3.11", "3.12", "3.13"]
PROJECT = nox.project.load_toml("pyproject.toml")


def install(session: nox.Session, *groups: str) -> None:
    """Install the project and the dependency groups that a session needs, compiled, as pip does of itself."""
    packages = [package for group in groups for package in nox.project.dependency_groups(PROJECT, group)]
    session.install("-e", ".", *packages, env={"UV_COMPILE_BYTECODE": "1"})


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on SQLite and PostgreSQL with the running Python."""
    install(session, "tests")
    session.run("pytest", *session.posargs)


@nox.session(python=PYTHONS, name="tests-on")
def tests_on(session: nox.Session) -> None:
    """Run the tests with a Python of your choice."""
    install(session, "tests")
    session.run("pytest", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Break things for minutes under a swarm, and print what became of its records."""
    install(session, "tests")
    session.run("python", "-m", "tests.faults.cycles", *session.posargs)


@nox.session
def overload(session: nox.Session) -> None:
    """Offer ten times what the service can take, and print what it still does."""
    install(session, "tests")
    session.run("python", "-m", "tests.faults.overload", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests and report which lines they reach."""
    install(session, "tests")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine")
    session.run("coverage", "report")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this service beside others that do the same; `-- --help` tells what else."""
    install(session, "bench")
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check", "--diff")


@nox.session
def typecheck(session: nox.Session) -> None:
    """Check the types, strictly."""
    install(session, "types")
    session.run("mypy")


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the source distribution."""
    session.install("build")
    session.run("python", "-m", "build")


if __name__ == "__main__":
    nox.main()
