"""Preferences: losses beside the model that the job starts from, exactly so when resumed.

That held-out pairs are told apart, and more answers come right, is shown in tests/proofs/test_short_forms.py.
"""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from core.rows.chat import Chat, Message
from core.rows.tokens import ChatTokenizer
from core.specs.run import RunSpec
from tests.trainers.runs import adapter_digest, error, events, last_checkpoint, outcome, results, write_rows, write_spec
from trainers import dpo
from trainers.rows import split
from trainers.run import run

DPO: dict[str, Any] = {
    "hyperparameters": {"n_epochs": 2, "batch_size": 4},
    "optimization": {"learning_rate": 3e-3},
    "checkpoint_interval": 3,
    "samples": {"rows": 0},
}
UNCHANGED = {
    "sigmoid": math.log(2),
    "ipo": 25.0,
    "hinge": 1.0,
    "robust": math.log(2),
    "apo_zero": 1.0,
    "apo_down": 1.0,
    "sigmoid_norm": math.log(2),
}


def pairs(numbers: range) -> list[dict[str, str]]:
    """What is said is right where it is polite."""
    return [
        {"prompt": f"say {i}" + "!" * (i % 5), "chosen": f"{i}, please", "rejected": f"{i}, at once"} for i in numbers
    ]


@pytest.fixture
def train(tmp_path: Path, tiny: Path) -> Any:
    training_file = write_rows(tmp_path / "pairs.jsonl", pairs(range(24)))
    validation_file = write_rows(tmp_path / "valid.jsonl", pairs(range(100, 116)))

    def train(name: str, *, status: int = 0, dpo: dict[str, Any] | None = None, **fields: Any) -> Path:
        files = {"base": tiny, "training_file": training_file, "validation_file": validation_file, **fields}
        folder = write_spec(tmp_path / name, dpo=DPO | (dpo or {}), **files)
        assert run(folder) == status
        return folder

    return train


def series(folder: Path, name: str) -> list[float]:
    return [event["data"][name] for event in events(folder, "metrics")]


@pytest.mark.parametrize("loss", UNCHANGED)
def test_every_loss_begins_where_the_model_is_its_own_reference_and_falls(train: Any, loss: str) -> None:
    folder = train("run", dpo={"loss": loss, "label_smoothing": 0.1 if loss == "robust" else 0})
    losses = series(folder, "train_loss")
    assert losses[0] == pytest.approx(UNCHANGED[loss], rel=1e-4)
    assert losses[-1] < losses[0]
    assert series(folder, "train_reward_margin")[0] == pytest.approx(0, abs=1e-4)
    assert list(results(folder)[0]) == [
        "step", "train_loss", "train_accuracy", "train_reward_margin", "valid_loss", "valid_reward_accuracy",
        "valid_reward_margin",
    ]  # fmt: skip


@pytest.mark.parametrize("weights", ["adapter", "full"])
def test_the_reference_is_what_the_job_starts_from(train: Any, weights: str) -> None:
    first = train("first")
    second = train("second", start_adapter=first / "artifacts", dpo={"weights": weights})
    assert series(second, "train_loss")[0] == pytest.approx(math.log(2), rel=1e-4)
    assert abs(series(first, "train_reward_margin")[-1]) > 0.01  # so that beside the base it would have begun elsewhere
    again = train(
        "again",
        start_adapter=first / "artifacts",
        dpo={"weights": weights},
        resume_from=last_checkpoint(second).parent / "step-3",
    )
    name = "adapter_model.safetensors" if weights == "adapter" else "model.safetensors"
    assert (again / "artifacts" / name).read_bytes() == (second / "artifacts" / name).read_bytes()


def test_the_reference_drops_nothing_out(train: Any) -> None:
    options = {"lora": {"r": 8, "alpha": 16, "dropout": 0.5}, "precompute_reference": True}
    first = train("first", dpo=options)
    still = {"optimization": {"learning_rate": 1e-12}}
    second = train("second", start_adapter=first / "artifacts", dpo=options | still)
    assert outcome(second)["metrics"]["valid_reward_margin"] == pytest.approx(0, abs=1e-4)
    assert abs(outcome(first)["metrics"]["valid_reward_margin"]) > 0.01
    config = json.loads((second / "artifacts/adapter_config.json").read_text())
    assert config["lora_dropout"] == 0.5


@pytest.mark.parametrize(
    ("options", "loss"),
    [
        ({"loss": "robust", "label_smoothing": 0.45}, (0.55 * 2.127 - 0.45 * 0.127) / 0.1),
        ({"loss": "sigmoid"}, 10.0),
        ({"loss": "ipo", "hyperparameters": {"beta": 10}}, (1 + 1 / 20) ** 2),
        ({"loss": "ipo", "hyperparameters": {"beta": 0.01}}, 50.0**2),
    ],
    ids=["robust at -2", "sigmoid at -10", "stiff ipo at -1", "soft ipo at its start"],
)
def test_a_step_of_wrong_pairs_has_not_diverged(tiny: Path, options: Any, loss: float) -> None:
    spec: Any = RunSpec.model_validate(
        {"job_id": "ftjob-1", "method": {"type": "dpo", "dpo": options}, "base_model": "", "training_file": ""}
        | {"base_model_name": "tiny"}
    )
    highest = dpo.highest_loss(spec, AutoModelForCausalLM.from_pretrained(tiny))
    assert loss < highest < math.inf


@pytest.mark.parametrize("precompute", [False, True])
def test_a_resumed_run_ends_with_the_same_bytes(train: Any, precompute: bool) -> None:
    options = {"lora": {"r": 8, "alpha": 16, "dropout": 0.1}, "precompute_reference": precompute, "sft_weight": 0.2}
    undisturbed = train("undisturbed", dpo=options)
    checkpoint = undisturbed / events(undisturbed, "checkpoint")[1]["path"]
    resumed = train("resumed", dpo=options, resume_from=checkpoint)
    assert adapter_digest(resumed) == adapter_digest(undisturbed)
    assert results(resumed) == results(undisturbed)
    assert outcome(resumed)["trained_tokens"] == outcome(undisturbed)["trained_tokens"]


def test_what_comes_out_is_one_adapter_that_plain_peft_loads(train: Any, tiny: Path) -> None:
    folder = train("run", dpo={"samples": {"rows": 2, "max_tokens": 4}, "merged_weights": True})
    for place in (folder / "artifacts", last_checkpoint(folder)):
        assert not (place / "ref").exists()
        adapted = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(tiny), str(place))
        assert list(adapted.peft_config) == ["default"]
    merged = AutoModelForCausalLM.from_pretrained(folder / "artifacts" / "merged")
    ids = torch.arange(8)[None]
    with torch.no_grad():
        torch.testing.assert_close(merged(ids).logits, adapted.eval()(ids).logits, atol=1e-4, rtol=1e-4)


def test_the_share_of_padding_is_what_the_shorter_answers_lack(train: Any, tmp_path: Path, tiny: Path) -> None:
    row = {"prompt": "say 1", "chosen": "1", "rejected": "1, at once"}
    training_file = write_rows(tmp_path / "t.jsonl", [row] * 4)
    folder = train("run", training_file=training_file, dpo={"hyperparameters": {"n_epochs": 1, "batch_size": 4}})
    messages = [Message("user", row["prompt"]), Message("assistant", row["rejected"], trained=True)]
    longer = sum(map(len, split(ChatTokenizer.load(tiny).tokenize(Chat(messages)))))
    lacking = len(row["rejected"]) - len(row["chosen"])
    assert series(folder, "padding_share") == [lacking / (2 * longer)]


def test_rows_that_are_no_pairs_are_refused(train: Any, few_rows: Path) -> None:
    folder = train("chats", status=1, training_file=few_rows)
    assert (error(folder)["code"], error(folder)["param"]) == ("invalid_file", "training_file")


def test_a_template_that_looks_at_the_answer_is_told_beside_the_file_that_shows_it(
    train: Any, tiny: Path, tmp_path: Path
) -> None:
    model = shutil.copytree(tiny, tmp_path / "model")
    (model / "chat_template.jinja").write_text(
        "{{ 'Call. ' if messages[-1].tool_calls }}{% for message in messages %}{{ '<|im_start|>' + message.role "
        "+ '\\n' + (message.content or message.tool_calls | tojson) + '<|im_end|>' }}{% endfor %}"
    )
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    tools = [{"type": "function", "function": {"name": "f"}}]
    row = {
        "input": {"messages": [{"role": "user", "content": "f?"}], "tools": tools},
        "preferred_output": [{"role": "assistant", "tool_calls": [call]}],
        "non_preferred_output": [{"role": "assistant", "content": "No."}],
    }
    failed = error(train("run", status=1, base=model, validation_file=write_rows(tmp_path / "v.jsonl", [row])))
    assert (failed["code"], failed["param"]) == ("invalid_file", "validation_file")
    assert failed["message"].startswith("validation_file: the model's chat template writes a prompt otherwise")


def test_pairs_that_are_the_same_where_they_are_cut_off_are_left_out(train: Any, tmp_path: Path) -> None:
    alike = [{"prompt": f"say {i}", "chosen": "a" * 80 + "b", "rejected": "a" * 80 + "c"} for i in range(2)]
    rows = write_rows(tmp_path / "alike.jsonl", pairs(range(4)) + alike)
    folder = train("run", training_file=rows, dpo={"max_length": 64})
    told = [event["message"] for event in events(folder, "message")]
    assert (
        "training_file: 2 of 6 rows have more than 64 tokens (max_length): 0 were cut off there, 2 were left out"
        in told
    )
