"""What `load_peft` says where it cannot load; that it loads is shown on the whole stack."""

import importlib.util

import pytest
from tunesmith import MissingPackage, Tunesmith, TunesmithError

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
