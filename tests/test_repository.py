"""The front of the repository: what runs elsewhere agrees with what the project declares."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_workflow_runs_every_declared_python() -> None:
    declared = [found[1] for c in PROJECT["classifiers"] if (found := re.fullmatch(r".*Python :: (3\.\d+)", c))]
    matrix = re.search(r"python: \[(.*)\]", (ROOT / ".github" / "workflows" / "ci.yml").read_text())
    assert matrix
    assert re.findall(r'"([\d.]+)"', matrix[1]) == declared


def test_every_action_is_pinned_to_a_commit_with_its_version() -> None:
    used = [line for path in WORKFLOWS for line in path.read_text().splitlines() if "uses:" in line]
    assert used
    assert [line for line in used if not re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)] == []


def test_workflows_have_no_permission_that_a_job_does_not_name() -> None:
    assert [path.name for path in WORKFLOWS if "\npermissions: {}\n" not in path.read_text()] == []
