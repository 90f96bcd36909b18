"""Whole runs on the tiny random Llama."""

import random
import string
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.trainers.runs import (
    adapter_digest,
    error,
    events,
    last_checkpoint,
    outcome,
    pair,
    results,
    samples,
    write_rows,
    write_spec,
)
from trainers.run import run

WORDS = ("zero", "one", "two", "three")
QUICK = {"hyperparameters": {"n_epochs": 1, "batch_size": 6}, "samples": {"max_tokens": 8}}


def test_a_run_yields_what_the_contract_names(tmp_path: Path, tiny: Path, few_rows: Path, valid_rows: Path) -> None:
    folder = write_spec(
        tmp_path / "run", base=tiny, training_file=few_rows, validation_file=valid_rows, supervised=QUICK
    )
    assert run(folder) == 0
    (resolved,) = events(folder, "resolved")
    metrics, result = events(folder, "metrics"), outcome(folder)
    steps = resolved["total_steps"]
    assert [event["step"] for event in metrics] == list(range(1, steps + 1))
    assert resolved["hyperparameters"] == {"n_epochs": 1, "batch_size": 6, "learning_rate_multiplier": 1.0}
    assert metrics[0]["message"].startswith(f"Step 1/{steps}: training loss=")
    named = {"train_loss", "train_mean_token_accuracy", "learning_rate", "grad_norm", "tokens_per_second"}
    named |= {"peak_memory_bytes", "padding_share"}
    validated = {"valid_loss", "valid_mean_token_accuracy", "full_valid_loss", "full_valid_mean_token_accuracy"}
    assert metrics[-1]["data"].keys() == named | validated
    assert metrics[-1]["seconds_left"] == 0
    assert {event["data"]["padding_share"] for event in metrics} == {0}
    assert result["metrics"] == metrics[-1]["data"]
    assert (result["outcome"], result["step"]) == ("succeeded", steps)
    # Every row's answer of 11 or 12 letters and its end of turn, once.
    assert result["trained_tokens"] == sum(len(f"it is {i}, yes") + 1 for i in range(24))
    final = events(folder, "checkpoint")[-1]
    assert (final["step"], final["metrics"]) == (steps, metrics[-1]["data"])
    table = results(folder)
    assert list(table[0]) == ["step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"]
    assert [float(row["train_loss"]) for row in table] == [event["data"]["train_loss"] for event in metrics]
    assert [row["prompt"][0]["content"] for row in samples(folder)] == [f"say {i}" for i in range(30, 34)]
    assert samples(folder)[0]["expected"] == "it is 30, yes"


def test_artifacts_hold_no_path_of_the_host(tmp_path: Path, tiny: Path, few_rows: Path, valid_rows: Path) -> None:
    folder = write_spec(
        tmp_path / "run", base=tiny, training_file=few_rows, validation_file=valid_rows, supervised=QUICK
    )
    run(folder)
    files = {path.name: path for path in (folder / "artifacts").iterdir()}
    assert files.keys() == {
        "adapter_config.json",
        "adapter_model.safetensors",
        "chat_template.jinja",
        "results.csv",
        "samples.jsonl",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    hosts = [str(part).encode() for part in (tmp_path, tiny, Path.cwd())]
    written = [*files.values(), *last_checkpoint(folder).iterdir(), folder / "events.jsonl"]
    assert [path.name for path in written for host in hosts if host in path.read_bytes()] == []


def test_the_adapter_is_plain_peft(tmp_path: Path, tiny: Path, few_rows: Path, valid_rows: Path) -> None:
    """Loaded without any of our code, from the artifacts and from the last checkpoint, it writes what `after` says."""
    supervised = {"hyperparameters": {"n_epochs": 4, "learning_rate_multiplier": 5}, "samples": {"max_tokens": 12}}
    folder = write_spec(
        tmp_path / "run", base=tiny, training_file=few_rows, validation_file=valid_rows, supervised=supervised
    )
    run(folder)
    for adapter in (folder / "artifacts", last_checkpoint(folder)):
        tokenizer: Any = AutoTokenizer.from_pretrained(adapter)
        base = AutoModelForCausalLM.from_pretrained(tiny, dtype=torch.float32)
        model: Any = PeftModel.from_pretrained(base, str(adapter)).eval()
        assert model.peft_config["default"].base_model_name_or_path == "tiny-llama"
        for row in samples(folder):
            inputs = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_tensors="pt")
            written = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs["input_ids"].shape[1] :]
            assert tokenizer.decode(written, skip_special_tokens=True).strip() == row["after"]
    assert any(row["before"] != row["after"] for row in samples(folder))


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path, tiny: Path, few_rows: Path) -> None:
    digests = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        folder = write_spec(tmp_path / name, base=tiny, training_file=few_rows, supervised=QUICK, seed=seed)
        assert run(folder) == 0
        digests.append(adapter_digest(folder))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_learns_what_the_answers_say(tmp_path: Path, tiny: Path, seed: int) -> None:
    """Digits to words, on held-out rows. Where the answers are dealt at random, one in four is right by chance."""
    chooser = random.Random(seed)
    rows = [pair(f"{tag}{digit}", word) for digit, word in enumerate(WORDS) for tag in string.ascii_lowercase]
    chooser.shuffle(rows)
    held_out = write_rows(tmp_path / "held-out.jsonl", rows[80:])
    answers = [row["completion"] for row in rows[:80]]
    chooser.shuffle(answers)
    control = [pair(row["prompt"], answer) for row, answer in zip(rows[:80], answers, strict=True)]
    right = {}
    for name, training in (("learnt", rows[:80]), ("control", control)):
        folder = write_spec(
            tmp_path / name,
            base=tiny,
            training_file=write_rows(tmp_path / f"{name}.jsonl", training),
            validation_file=held_out,
            seed=seed,
            supervised={
                "hyperparameters": {"n_epochs": 12, "learning_rate_multiplier": 3, "batch_size": 4},
                "lora": {"r": 64, "alpha": 64},
                "samples": {"rows": 24, "max_tokens": 6},
                "checkpoint_interval": 1000,
            },
        )
        assert run(folder) == 0
        right[name] = sum(row["after"] == row["expected"] for row in samples(folder)) / 24
    assert right["learnt"] >= 0.8
    assert right["control"] <= 0.5


def test_an_adapter_goes_on_training(tmp_path: Path, tiny: Path, few_rows: Path, valid_rows: Path) -> None:
    supervised = {**QUICK, "hyperparameters": {"n_epochs": 2, "learning_rate_multiplier": 5}}
    files: dict[str, Any] = {"base": tiny, "training_file": few_rows, "validation_file": valid_rows}
    first = write_spec(tmp_path / "first", supervised={**supervised, "lora": {"r": 4, "alpha": 8}}, **files)
    run(first)
    second = write_spec(tmp_path / "second", supervised=supervised, start_adapter=first / "artifacts", **files)
    assert run(second) == 0
    losses = [events(folder, "metrics")[0]["data"]["train_loss"] for folder in (first, second)]
    assert losses[1] < losses[0] - 0.1
    assert [row["before"] for row in samples(second)] == [row["after"] for row in samples(first)]
    assert '"r": 4' in (second / "artifacts/adapter_config.json").read_text()


def test_another_shape_of_the_start_adapter_is_refused(tmp_path: Path, tiny: Path, few_rows: Path) -> None:
    files: dict[str, Any] = {"base": tiny, "training_file": few_rows}
    first = write_spec(tmp_path / "first", supervised=QUICK, **files)
    run(first)
    second = write_spec(
        tmp_path / "second", supervised={**QUICK, "lora": {"r": 8}}, start_adapter=first / "artifacts", **files
    )
    assert run(second) == 1
    assert error(second)["param"] == "method.supervised.lora.r"
    assert "lora.r: 8 was asked for, but the adapter that this job goes on training has 16" in error(second)["message"]
