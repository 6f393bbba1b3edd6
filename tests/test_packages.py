"""Which package may import which, and what two of them hold in common."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import netvision_api
import netvision_cli

API, CLI = (Path(str(package.__file__)).parent for package in (netvision_api, netvision_cli))
STORAGE = API / "storage"
COPIES = ("option_spec.py", "typer_options.py", "units.py")
"""Modules that both packages have, since they import nothing of each other."""

WEB = ("litestar", "uvicorn", "netvision_api.http")


def imports(package: Path) -> Iterator[str]:
    """Name everything that the modules of a package import."""
    for path in package.rglob("*.py"):
        yield from imports_of(path)


def imports_of(path: Path) -> Iterator[str]:
    """Name everything that a module imports, at its top or anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_of(name: str, package: str) -> bool:
    """Return whether a name is that of a package or of something in it."""
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize(
    ("folder", "other"), [(CLI, "netvision_api"), (API, "netvision_cli")], ids=["client", "server"]
)
def test_client_and_server_do_not_import_each_other(folder: Path, other: str) -> None:
    names = list(imports(folder))
    assert len(names) > 20
    assert not [name for name in names if is_of(name, other)]


def test_storage_imports_nothing_of_http() -> None:
    modules = list(STORAGE.rglob("*.py"))
    assert len(modules) > 5
    assert not [name for name in imports(STORAGE) for package in WEB if is_of(name, package)]


def test_storage_loads_nothing_of_http() -> None:
    """Advanced-alchemy loads parts of Litestar if it is there, so Litestar alone is left to the test above."""
    modules = [f"netvision_api.storage.{path.stem}" for path in STORAGE.glob("*.py") if path.stem != "__init__"]
    assert modules
    program = f"import sys, {', '.join(modules)}\nprint(*sys.modules, sep='\\n')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()
    assert set(modules) <= set(loaded)
    assert not [name for name in loaded for package in ("uvicorn", "netvision_api.http") if is_of(name, package)]


@pytest.mark.parametrize("name", COPIES)
def test_what_both_packages_have_is_the_same(name: str) -> None:
    served, called = ((package / name).read_text(encoding="utf-8") for package in (API, CLI))
    assert served.replace("netvision_api.", "netvision_cli.") == called


def test_the_workload_knows_no_command_line_and_no_display() -> None:
    source = Path(netvision_cli.__file__).parents[1]
    waiting, seen, names = ["netvision_cli.swarm.workload"], set[str](), set[str]()
    while waiting:
        module = waiting.pop()
        seen.add(module)
        path = source / f"{module.replace('.', '/')}.py"
        found = set(imports_of(path)) if path.exists() else set()
        names |= {name.partition(".")[0] for name in found}
        waiting += [name for name in found - seen if name.startswith("netvision_cli.")]
    assert len(seen) > 5
    assert not names & {"typer", "rich"}
