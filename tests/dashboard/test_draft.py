"""What the form of a new job makes of texts, and what it says is wrong."""

import json

import pytest
from tunesmith.types import Job

from dashboard import spec_schema
from dashboard.draft import NOTHING, Draft, from_json, of_job, shown
from dashboard.spec_schema import METHODS, Node

FILLED = {"model": "m", "training_file": "file-1"}


def nodes(method: str) -> dict[str, Node]:
    given = [*spec_schema.of_job(), *spec_schema.of_method(method)[1]]
    return {node.key: node for top in given for node in top.all()}


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("method.ppo.hyperparameters.n_epochs", "auto", "auto"),
        ("method.ppo.hyperparameters.n_epochs", " 3 ", 3),
        ("method.ppo.optimization.learning_rate", "1e-4", 1e-4),
        ("method.ppo.optimization.learning_rate", "nan", "nan"),
        ("method.ppo.optimization.learning_rate", "1e999", "1e999"),
        ("method.ppo.merged_weights", "true", True),
        ("method.ppo.lora.target_modules", "attention", "attention"),
        ("method.ppo.lora.target_modules", "q_proj, v_proj", ["q_proj", "v_proj"]),
        ("method.ppo.reward_models", "a,b", ["a", "b"]),
        ("method.ppo.kl_target", "null", None),
        ("method.ppo.grader", '{"type": "math"}', {"type": "math"}),
        ("metadata", "team=docs\nrun = a=b", {"team": "docs", "run": "a=b"}),
        ("suffix", "", NOTHING),
    ],
)
def test_a_text_stands_for_a_value_and_back(key: str, text: str, value: object) -> None:
    node, draft = nodes("ppo")[key], Draft({"method": {"type": "ppo", "ppo": {}}})
    draft.write(node, text)
    assert draft.get(node.path) == value
    again = Draft({})
    again.choose("ppo")
    again.write(node, shown(node, value))
    assert again.get(node.path) == value


def test_only_what_is_filled_in_is_in_the_body() -> None:
    draft, of = Draft(dict(FILLED)), nodes("supervised")
    draft.write(of["method.supervised.lora.r"], "4")
    assert draft.body == {**FILLED, "method": {"type": "supervised", "supervised": {"lora": {"r": 4}}}}
    assert not draft.mistakes()
    draft.write(of["method.supervised.lora.r"], "")
    assert draft.body == {**FILLED, "method": {"type": "supervised", "supervised": {}}}


@pytest.mark.parametrize(
    ("method", "path", "sentence"),
    [
        ({"type": "dpo", "dpo": {"lora": {"x": 1}}}, "method.dpo.lora.x", "unknown key; allowed here: alpha, dora"),
        ({"type": "dpo", "dpo": {"max_length": 7}}, "method.dpo.max_length", "must be 'auto', or at least 32; given 7"),
        (
            {"type": "dpo", "dpo": {"lora": {"init": "orthogonal", "r": 3}}},
            "method.dpo.lora",
            "needs an even r; given 3",
        ),
        ({"type": "zzz"}, "method.type", "must be one of 'initialization'"),
        ({"type": "reinforcement", "reinforcement": {}}, "method.reinforcement.grader", "required"),
    ],
)
def test_mistakes_are_told_by_their_keys(method: dict[str, object], path: str, sentence: str) -> None:
    [(found, mistake)] = Draft({**FILLED, "method": method}).mistakes().items()
    assert found == path
    assert sentence in mistake.sentence
    assert mistake.missing is (sentence == "required")


def test_a_grader_that_is_no_json_is_a_mistake_until_it_is_mended() -> None:
    draft, node = Draft(dict(FILLED)), nodes("reinforcement")["method.reinforcement.grader"]
    draft.choose("reinforcement")
    draft.write(node, "{")
    assert "no JSON: line 1" in draft.mistakes()[node.key].sentence
    draft.write(node, json.dumps({"type": "math", "name": "right", "reference": "{{ item.answer }}"}))
    assert not draft.mistakes()


@pytest.mark.parametrize("text", ["{", "NaN", '"\\ud800"', "[" * 100_000])
def test_what_cannot_be_sent_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="no JSON"):
        from_json(text)


def test_a_clone_leaves_defaults_out() -> None:
    method = {"type": "supervised", "supervised": {"lora": {"r": 4}, "long_rows": "truncate", "keep_best": None}}
    asked = {**FILLED, "seed": 7, "suffix": None, "resources": {"gpus": None}, "method": method}
    job = Job(id="ftjob-1", created_at=0, status="succeeded", **asked)
    assert of_job(job) == {**FILLED, "seed": 7, "method": {"type": "supervised", "supervised": {"lora": {"r": 4}}}}


@pytest.mark.parametrize("method", METHODS)
def test_every_key_of_a_method_can_be_asked_for(method: str) -> None:
    for node in nodes(method).values():
        assert node.kind != "group" or node.children
        if node.kind == "json":
            assert spec_schema.outline(node)
