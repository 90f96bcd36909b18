"""What `load_peft` says where it cannot load; that it loads is shown on the whole stack."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tunesmith import MissingPackage, Tunesmith, TunesmithError, peft

from tests.sdk.conftest import Answer, Script
from tests.sdk.test_download import artifacts


def test_without_peft_it_says_what_to_install(client: Tunesmith, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackage, match="pip install peft transformers"):
        client.load_peft("ftjob-1")


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)


def test_a_base_model_or_a_job_without_an_adapter(script: Script, client: Tunesmith, installed: None) -> None:
    script.say(Answer(body={"id": "m", "created": 1, "owned_by": "us"}))
    with pytest.raises(TunesmithError, match="m is no fine-tuned model"):
        client.load_peft("m")
    script.say(artifacts(script, "samples.jsonl"))
    with pytest.raises(TunesmithError, match="job ftjob-1 has no adapter"):
        client.load_peft("ftjob-1")


def write_config(folder: Path, base: str) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))


def test_a_name_of_the_catalogue_is_looked_for_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_config(tmp_path, "house-7b")
    with pytest.raises(TunesmithError, match=r"house-7b is a base model of the server.* give base"):
        peft.load(tmp_path, None)
    (tmp_path / "house-7b").mkdir()
    assert peft.base_name(tmp_path) == "house-7b"


def test_a_base_that_the_hub_does_not_give_is_asked_for(tmp_path: Path) -> None:
    write_config(tmp_path, "acme/house-7b")
    code = "import pathlib, sys; from tunesmith import peft; peft.load(pathlib.Path(sys.argv[1]), None)"
    offline = {**os.environ, "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=offline, capture_output=True, text=True, check=False
    )
    assert "TunesmithError: acme/house-7b is neither in a folder here nor on the Hugging Face hub: give" in done.stderr
