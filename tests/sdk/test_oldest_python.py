"""The oldest Python that the package promises: installed there from its own dependencies, it imports and runs."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

OLDEST = "3.10"
ASKED = "import sys; print('%d.%d' % sys.version_info[:2])"
# `__main__` is the command itself.
IMPORT_ALL = """
import importlib, pkgutil, tunesmith
names = [module.name for module in pkgutil.walk_packages(tunesmith.__path__, "tunesmith.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(*names)
"""
Run = Callable[..., subprocess.CompletedProcess[str]]


def candidates() -> Iterator[Path]:
    if found := shutil.which(f"python{OLDEST}"):
        yield Path(found)
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(root.glob(f"versions/{OLDEST}.*/bin/python{OLDEST}"))


def oldest_python() -> Path:
    for python in candidates():
        # pyenv's shim is there for versions that it does not run.
        done = subprocess.run([python, "-c", ASKED], capture_output=True, text=True, check=False)
        if done.stdout.strip() == OLDEST:
            return python
    reason = f"no Python {OLDEST} on PATH or in pyenv: that the SDK runs there is not shown"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program of a virtual environment of the oldest Python, where the package is installed."""
    python, folder, root = oldest_python(), tmp_path_factory.mktemp("oldest"), Path(__file__).parents[2]
    bin_folder = folder / "venv" / "bin"
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [bin_folder / program, *arguments]
        return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=280, check=False)

    # A copy: setuptools writes into the folder that it builds.
    shutil.copytree(root / "sdk", folder / "sdk", ignore=shutil.ignore_patterns("*.egg-info", "build", "__pycache__"))
    subprocess.run([python, "-m", "venv", folder / "venv"], env=env, check=True)
    wanted = ["--quiet", "--constraint", str(root / "constraints.txt"), f"{folder}/sdk[check]"]
    installed = run("pip", "install", *wanted)
    assert installed.returncode == 0, installed.stderr
    return run


def test_every_module_imports(run: Run) -> None:
    done = run("python", "-W", "error", "-c", IMPORT_ALL)
    assert done.returncode == 0, done.stderr
    assert {"tunesmith._async.client", "tunesmith.cli.jobs", "tunesmith.rules.parquet"} <= set(done.stdout.split())


def test_the_command_line_runs(run: Run, tmp_path: Path) -> None:
    assert run("tunesmith", "--help").stdout.startswith("Usage: tunesmith")
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "completion": "b"}\n')
    assert run("tunesmith", "files", "check", str(rows)).stdout == f"{rows}: 1 rows, all usable\n"
    rows.write_text('{"prompt": "a"}\n')
    assert run("tunesmith", "files", "check", str(rows)).returncode == 9
