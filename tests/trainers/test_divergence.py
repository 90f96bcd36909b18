"""Runs that ruin their weights: they fail, and say which checkpoint is still good."""

import math
import shutil
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from peft import PeftModel
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from core.rows.chat import Chat, Message
from core.rows.tokens import ChatTokenizer
from tests.trainers.runs import error, events, last_checkpoint, write_spec
from trainers.run import run


@pytest.fixture
def diverging(tmp_path: Path, tiny: Path, few_rows: Path) -> dict[str, Any]:
    """A run whose loss explodes: its head is far too sure of itself, and what it gets wrong, it gets very wrong."""
    sure = tmp_path / "sure"
    shutil.copytree(tiny, sure)
    weights = load_file(sure / "model.safetensors")
    weights["model.norm.weight"] *= 5
    save_file(weights, sure / "model.safetensors", metadata={"format": "pt"})
    optimization = {"learning_rate": 1, "schedule": "constant", "warmup": 3}
    supervised = {"max_steps": 60, "checkpoint_interval": 1, "optimization": optimization}
    return {"base": sure, "training_file": few_rows, "supervised": supervised}


@torch.no_grad()
def mean_loss(base: Path, adapter: Path) -> float:
    """Of an adapter, on the rows that it was trained on."""
    tokenizer = ChatTokenizer.load(base)
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), str(adapter))
    losses = []
    for i in range(24):
        messages = [Message("user", f"say {i}" + "!" * (i % 5)), Message("assistant", f"it is {i}, yes", trained=True)]
        row = tokenizer.tokenize(Chat(messages))
        ids, labels = torch.tensor([row.input_ids]), torch.tensor([row.labels])
        losses.append(float(model(input_ids=ids, labels=labels).loss))
    return sum(losses) / len(losses)


def test_a_loss_that_explodes_names_the_last_checkpoint_whose_loss_was_sound(
    tmp_path: Path, diverging: dict[str, Any]
) -> None:
    """The loss of a step is that of the weights which the step before has made, and so of that one's checkpoint."""
    folder = write_spec(tmp_path / "run", **diverging)
    assert run(folder) == 1
    said, last = error(folder), events(folder, "checkpoint")[-1]["step"]
    assert (said["code"], said["retryable"]) == ("diverged", False)
    assert said["message"].startswith("the loss has grown to ")
    assert f"at step {last + 1}; the last good checkpoint is that of step {last - 1}" in said["message"]
    highest = 3 * math.log(AutoConfig.from_pretrained(diverging["base"]).vocab_size)
    ruined, good = (mean_loss(diverging["base"], folder / f"checkpoints/step-{step}") for step in (last, last - 1))
    assert good < highest < ruined

    resumed = write_spec(tmp_path / "resumed", resume_from=last_checkpoint(folder), **diverging)
    assert run(resumed) == 1
    assert error(resumed) == said
    diverging["supervised"] |= {"keep_checkpoints": 1}
    few = write_spec(tmp_path / "few", **diverging)
    assert run(few) == 1
    assert "there is no checkpoint from before" in error(few)["message"]


@pytest.mark.parametrize(
    ("validated", "what"), [(False, "the weights are not finite"), (True, "the validation loss is not finite")]
)
def test_a_last_update_that_ruins_the_weights_is_no_success(
    tmp_path: Path,
    tiny: Path,
    few_rows: Path,
    valid_rows: Path,
    monkeypatch: pytest.MonkeyPatch,
    validated: bool,
    what: str,
) -> None:
    """Of the last weights no training loss is ever measured."""
    update, updates = torch.optim.AdamW.step, count(1)

    def ruin(optimizer: torch.optim.AdamW, *args: Any, **kwargs: Any) -> Any:
        answer = update(optimizer, *args, **kwargs)
        if next(updates) == 3:
            optimizer.param_groups[0]["params"][0].data.fill_(torch.inf)
        return answer

    monkeypatch.setattr(torch.optim.AdamW, "step", ruin)
    files: dict[str, Any] = {"training_file": few_rows} | ({"validation_file": valid_rows} if validated else {})
    supervised = {"max_steps": 3, "checkpoint_interval": 1, "eval_interval": 3}
    folder = write_spec(tmp_path / "run", base=tiny, supervised=supervised, **files)
    assert run(folder) == 1
    assert error(folder)["code"] == "diverged"
    assert error(folder)["message"].startswith(f"{what} at step 3; the last good checkpoint is that of step 2")
    assert [event["step"] for event in events(folder, "checkpoint")] == [1, 2]


def test_a_gradient_that_is_no_number_leaves_the_checkpoint_before_its_update(
    tmp_path: Path, tiny: Path, few_rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, steps = Accelerator.clip_grad_norm_, count(1)

    def clipped(*args: Any, **kwargs: Any) -> Any:
        norm = clip(*args, **kwargs)
        return norm * torch.inf if next(steps) == 3 else norm

    monkeypatch.setattr(Accelerator, "clip_grad_norm_", clipped)
    supervised = {"max_steps": 5, "checkpoint_interval": 1}
    folder = write_spec(tmp_path / "run", base=tiny, training_file=few_rows, supervised=supervised)
    assert run(folder) == 1
    message = "the gradient is not finite at step 3; the last good checkpoint is that of step 2"
    assert error(folder)["message"].startswith(message)
