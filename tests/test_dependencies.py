"""What the server imports is what it asks its installer for."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

OWN = {"api", "core", "dashboard", "embedded", "migrations", "trainers", "worker", "inference", "graders"}
OWN |= {"tunesmith"}  # the SDK, which the dashboard is installed with
# Installed by what wraps them, whose interface they are part of.
WRAPPED = {"botocore": "boto3", "starlette": "fastapi", "pydantic_monty": "pydantic-monty"}


def imported(folder: Path) -> set[str]:
    names: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - OWN - {"mypy_boto3_s3"}  # the last for type checkers only


@pytest.mark.parametrize(
    ("package", "extras"),
    [
        ("api", []),
        ("core", []),
        ("dashboard", ["dashboard"]),
        ("embedded", ["embedded"]),
        ("graders", []),
        ("migrations", []),
        ("trainers", ["train"]),
        ("worker", ["wandb"]),
    ],
)
def test_every_import_is_declared(repository_root: Path, package: str, extras: list[str]) -> None:
    project = tomllib.loads((repository_root / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + [w for extra in extras for w in project["optional-dependencies"][extra]]
    declared = {re.split(r"[\[<>=~ ]", name)[0] for name in wanted}
    distributions = packages_distributions()
    missing = set()
    for module in imported(repository_root / package):
        known = {name.lower().replace("_", "-") for name in distributions.get(WRAPPED.get(module, module), [module])}
        if not known & declared:
            missing.add(module)
    assert missing == set()
