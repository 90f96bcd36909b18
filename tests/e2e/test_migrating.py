"""docs/migrating.md: what it tells its reader to do is done here, word by word."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.registry.catalogue import load_catalogue
from core.settings import PACKAGED_CATALOGUE, Settings
from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case
from tests.stack import Stack


@pytest.fixture
def blocks(repository_root: Path) -> dict[str, str]:
    """The page's code by language, the blocks of each in their order, joined."""
    page = (repository_root / "docs" / "migrating.md").read_text()
    found: dict[str, str] = {}
    for language, code in re.findall(r"^```(\w+)\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL):
        found[language] = found.get(language, "") + code
    assert set(found) == {"sh", "ini", "python"}
    return found


def test_a_script_for_the_hosted_api_trains_and_takes_the_weights_home(
    blocks: dict[str, str], stack: Stack, project: ProjectKey, tmp_path: Path
) -> None:
    (tmp_path / ".tunesmith").mkdir()
    env = f"TUNESMITH_BASE_URL={stack.url}/v1\nTUNESMITH_API_KEY={project.key}\n"
    (tmp_path / ".tunesmith" / "env").write_text(env)
    (tmp_path / "train.jsonl").write_bytes(upper_case(20, seed=0))
    (tmp_path / "migrate.py").write_text(blocks["python"])
    done = subprocess.run(
        ["sh", "-euc", f"{blocks['sh']}\nexec {sys.executable} migrate.py"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "trains tiny-random-llama" in done.stdout
    assert "Model gpt-4.1-mini-2025-04-14 stands for tiny-random-llama here" in done.stdout
    assert "step,train_loss" in done.stdout
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size > 0


def test_its_setting_is_one(blocks: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, value = blocks["ini"].strip().partition("=")
    monkeypatch.setenv(name, value)
    entry = load_catalogue(PACKAGED_CATALOGUE).with_aliases(Settings().model_aliases).find("gpt-4.1-mini-2025-04-14")
    assert entry
    assert entry.id == "smollm2-135m-instruct"
