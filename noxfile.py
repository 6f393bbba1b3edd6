#!/usr/bin/env -S uv run --script
"""The project's sessions; `nox --list` shows them."""

# /// script
# dependencies = ["nox>=2025.10"]
# ///

import shutil
import tarfile
import zipfile
from pathlib import Path

import nox

nox.needs_version = ">=2025.10"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.sessions = ["tests", "lint", "typecheck"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
PYTEST = ("pytest", "--numprocesses=logical", "--maxprocesses=4", "--dist=worksteal")
LOWEST = ("uv", "pip", "install", "--resolution", "lowest-direct")

IN_WHEEL = {
    "netvision_api/http/pages/home.css",
    "netvision_api/http/pages/home.html",
    "netvision_api/http/pages/home.js",
    "netvision_api/http/pages/schema.css",
    "netvision_api/http/pages/schema.html",
    "netvision_api/http/pages/schema.js",
    "netvision_api/py.typed",
    "netvision_api/migrations/env.py",
    "netvision_api/migrations/script.py.mako",
    "netvision_cli/py.typed",
    "netvision_cli/swarm/report.css",
}
IN_SDIST = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "noxfile.py", "migrations/env.py"}
PARTS_OF_WHEEL = {"netvision_api", "netvision_cli"}


def install(session: nox.Session, *groups: str) -> None:
    """Install the project and the dependency groups that a session needs, compiled, as pip does by itself."""
    packages = [package for group in groups for package in nox.project.dependency_groups(PROJECT, group)]
    session.install("-e", ".", *packages, env={"UV_COMPILE_BYTECODE": "1"})
    session.run("python", "-m", "compileall", "-q", "src", silent=True)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests on SQLite and PostgreSQL with the Python that runs nox; `-- tests/cli -n 0` runs some of them."""
    install(session, "tests")
    session.run(*PYTEST, *session.posargs)


@nox.session(python=PYTHONS, name="tests-on")
def tests_on(session: nox.Session) -> None:
    """Run the tests with each Python that the project supports; `nox -s tests-on-3.12` takes one."""
    install(session, "tests")
    session.run(*PYTEST, *session.posargs)


@nox.session
def minimums(session: nox.Session) -> None:
    """Run the tests with the lowest versions that the project declares; uv, which can choose them, is installed."""
    session.install("uv")
    session.run(*LOWEST, "-e", ".", *nox.project.dependency_groups(PROJECT, "tests"), env={"UV_COMPILE_BYTECODE": "1"})
    session.run(*PYTEST, *session.posargs)


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
def attack(session: nox.Session) -> None:
    """Attack the service in every way that is known, and print what it still did for others."""
    install(session, "tests")
    session.run("python", "-m", "tests.attacks", *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Run the tests, report which lines they reach, processes of their own included, and hold a floor."""
    install(session, "tests")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", *PYTEST, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this service beside others that do the same; `-- smoke` tests the benchmarks, `-- --help` lists more."""
    if session.posargs == ["smoke"]:
        install(session, "tests")
        session.run("pytest", "tests/benchmarks")
        return
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
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities of everything that an installation brings; this needs the network."""
    session.install(".", "pip-audit")
    session.run("pip-audit", "--local", "--skip-editable", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build the wheel and the source distribution, check both, and try the wheel in an environment without the rest."""
    session.install("build", "twine")
    folder = Path("dist")
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(folder))
    (wheel,), (sdist,) = folder.resolve().glob("*.whl"), folder.resolve().glob("*.tar.gz")
    session.run("twine", "check", "--strict", str(wheel), str(sdist))
    check_wheel(session, wheel)
    check_sdist(session, sdist)
    try_wheel(session, wheel)
    session.log(f"{wheel} and {sdist} are as they should be")


def check_wheel(session: nox.Session, wheel: Path) -> None:
    """Check that a wheel holds the two packages with the migrations, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    parts = {name.split("/")[0] for name in names if ".dist-info/" not in name}
    revisions = [name for name in names if name.startswith("netvision_api/migrations/versions/")]
    if missing := IN_WHEEL - names:
        session.error(f"the wheel lacks {', '.join(sorted(missing))}")
    if len(revisions) < len(list(Path("migrations/versions").glob("*.py"))):
        session.error("the wheel lacks migrations")
    if parts != PARTS_OF_WHEEL:
        session.error(f"the wheel holds {', '.join(sorted(parts))} at its top")


def check_sdist(session: nox.Session, sdist: Path) -> None:
    """Check that a source distribution holds what building and testing need."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    if missing := IN_SDIST - names:
        session.error(f"the source distribution lacks {', '.join(sorted(missing))}")
    if not any(name.startswith("tests/") for name in names):
        session.error("the source distribution lacks the tests")


def try_wheel(session: nox.Session, wheel: Path) -> None:
    """Install a wheel in a fresh environment, and use it from another directory."""
    folder = Path(session.create_tmp()).resolve()
    fresh = folder / "fresh"
    session.run("python", "-m", "venv", "--clear", str(fresh))
    session.run(str(fresh / "bin" / "pip"), "install", "--quiet", str(wheel), external=True)
    database = folder / "records.db"
    database.unlink(missing_ok=True)
    api = str(fresh / "bin" / "netvision-api")
    with session.chdir(folder):
        session.run(api, "--version", external=True)
        session.run(str(fresh / "bin" / "netvision"), "--version", external=True)
        session.run(api, "db", "upgrade", "--database-url", f"sqlite:///{database}", external=True)
        session.run(api, "db", "check", "--database-url", f"sqlite:///{database}", external=True)


if __name__ == "__main__":
    nox.main()
