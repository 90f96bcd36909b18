"""Killed, stopped and resumed: the result is that of an undisturbed run, to the last bit."""

import os
import signal
import subprocess
import sys
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest

from core.rows import packing
from tests.trainers.runs import (
    adapter_digest,
    error,
    events,
    last_checkpoint,
    outcome,
    pair,
    results,
    samples,
    start,
    wait_until,
    write_rows,
    write_spec,
)
from trainers.run import run
from trainers.supervised import Collator

SUPERVISED: dict[str, Any] = {
    "hyperparameters": {"n_epochs": 6, "batch_size": 6},
    "lora": {"r": 8, "alpha": 16, "dropout": 0.1},
    "optimization": {"schedule": "cosine", "weight_decay": 0.01},
    "neftune_alpha": 5,
    "checkpoint_interval": 5,
    "eval_interval": 4,
    "early_stopping": {"patience": 4, "min_delta": 100},  # no validation is so much better: the fifth is the last
    "keep_best": "valid_mean_token_accuracy",
    "samples": {"max_tokens": 8},
}


STOPS = 20  # of 24 steps
ROWS = 24


@pytest.fixture
def files(tmp_path: Path, tiny: Path, valid_rows: Path) -> dict[str, Any]:
    """Rows of 200 to 400 tokens, a byte each: a step's six fill two or three sequences of 1,024."""
    rows = [pair(f"say {i} " + "a" * (90 + 3 * i), f"it is {i}, " + "yes " * (20 + i)) for i in range(ROWS)]
    training_file = write_rows(tmp_path / "long.jsonl", rows)
    return {"base": tiny, "training_file": training_file, "validation_file": valid_rows, "supervised": SUPERVISED}


@pytest.fixture
def packed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many sequences the rows of each step come to, of runs in this process."""
    found: list[int] = []
    collate = Collator.__call__

    def noted(collator: Collator, rows: list[Any]) -> Any:
        batch = collate(collator, rows)
        if len(rows) == 6:  # those for validation are four
            found.append(len(batch["sequences"]))
        return batch

    monkeypatch.setattr(Collator, "__call__", noted)
    return found


def reached(run_dir: Path, step: int) -> bool:
    return any(event["step"] >= step for event in events(run_dir, "checkpoint"))


def assert_same(run_dir: Path, undisturbed: Path) -> None:
    assert adapter_digest(run_dir) == adapter_digest(undisturbed)
    assert results(run_dir) == results(undisturbed)
    assert samples(run_dir) == samples(undisturbed)
    figures = ("outcome", "step", "trained_tokens")
    assert [outcome(run_dir)[key] for key in figures] == [outcome(undisturbed)[key] for key in figures]


def test_killed_twice_and_resumed(tmp_path: Path, files: dict[str, Any], packed: list[int]) -> None:
    """In steps of several packed sequences, with dropout; early stopping counts validations of all three attempts."""
    undisturbed = write_spec(tmp_path / "undisturbed", **files)
    assert run(undisturbed) == 0
    assert len(packed) >= STOPS
    assert set(packed) <= {2, 3}
    (resolved,) = events(undisturbed, "resolved")
    assert outcome(undisturbed)["step"] == STOPS < resolved["total_steps"]

    first = write_spec(tmp_path / "first", **files)
    process = subprocess.Popen([sys.executable, "-m", "trainers", first], stderr=subprocess.DEVNULL)
    wait_until(lambda: reached(first, 5), process)
    process.kill()
    process.wait()
    assert not (first / "result.json").exists()

    second = write_spec(tmp_path / "second", resume_from=last_checkpoint(first), **files)
    child = start(second)
    wait_until(lambda: reached(second, 10), child)
    child.kill()
    child.join()

    third = write_spec(tmp_path / "third", resume_from=last_checkpoint(second), **files)
    assert run(third) == 0
    assert events(third, "metrics")[0]["step"] == events(second, "checkpoint")[-1]["step"] + 1
    assert any("Stopping early" in event["message"] for event in events(third, "message"))
    assert_same(third, undisturbed)
    # The artifact may be of a validation before the kills; this is of the last step.
    last = [(last_checkpoint(folder) / "adapter_model.safetensors").read_bytes() for folder in (third, undisturbed)]
    assert last[0] == last[1]

    # Killed after the last step: nothing is left to train, everything is left to write.
    fourth = write_spec(tmp_path / "fourth", resume_from=last_checkpoint(third), **files)
    assert run(fourth) == 0
    assert events(fourth, "metrics") == []
    assert_same(fourth, undisturbed)


def test_sigterm_in_training_keeps_the_step(tmp_path: Path, files: dict[str, Any]) -> None:
    undisturbed, stopped = write_spec(tmp_path / "undisturbed", **files), write_spec(tmp_path / "stopped", **files)
    assert run(undisturbed) == 0
    process = start(stopped)
    wait_until(lambda: events(stopped, "metrics"), process)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join()
    assert process.exitcode == 0
    last, result = events(stopped, "checkpoint")[-1], outcome(stopped)
    assert result["outcome"] == "stopped"
    assert result["step"] == last["step"] == events(stopped, "metrics")[-1]["step"]
    assert result["step"] < events(stopped, "resolved")[0]["total_steps"]
    assert result["trained_tokens"] == last["trained_tokens"] > 0
    resumed = write_spec(tmp_path / "resumed", resume_from=last_checkpoint(stopped), **files)
    assert run(resumed) == 0
    assert_same(resumed, undisturbed)


def test_a_resumed_run_has_the_same_steps_on_another_device(
    tmp_path: Path, files: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where sequences are shorter, say: which rows make a step does not depend on how they share sequences."""
    files["supervised"] = {**SUPERVISED, "neftune_alpha": None, "lora": None}
    files["supervised"] |= {"hyperparameters": {"n_epochs": 1, "batch_size": 8}, "checkpoint_interval": 1}
    undisturbed = write_spec(tmp_path / "undisturbed", **files)
    assert run(undisturbed) == 0
    checkpoint = undisturbed / events(undisturbed, "checkpoint")[0]["path"]
    monkeypatch.setattr(packing, "CPU_LENGTH", 32)
    resumed = write_spec(tmp_path / "resumed", resume_from=checkpoint, **files)
    assert run(resumed) == 0
    assert events(resumed, "resolved") == events(undisturbed, "resolved")
    for ours, theirs in zip(results(resumed), results(undisturbed), strict=True):
        assert float(ours["train_loss"]) == pytest.approx(float(theirs["train_loss"]), rel=1e-4)


def terminate(process: ForkServerProcess) -> None:
    """SIGTERM until it is gone: Python looks for signals between two steps; one right before a read may be missed."""
    while process.exitcode is None:
        os.kill(process.pid or 0, signal.SIGTERM)
        process.join(0.1)


def test_sigterm_while_loading(tmp_path: Path, files: dict[str, Any]) -> None:
    """The training file is a pipe: once it opens, the trainer is reading rows, and will be until we write some."""
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    folder = write_spec(tmp_path / "run", **{**files, "training_file": pipe})
    process = start(folder)
    with pipe.open("wb"):
        terminate(process)
    assert process.exitcode == 0
    assert outcome(folder) == {"outcome": "stopped", "step": 0, "trained_tokens": 0, "metrics": {}}


def test_sigterm_while_sampling(tmp_path: Path, files: dict[str, Any]) -> None:
    files["supervised"] = {**SUPERVISED, "hyperparameters": {"n_epochs": 1}, "samples": {"max_tokens": 1900}}
    folder = write_spec(tmp_path / "run", **files)
    process = start(folder)
    wait_until(lambda: any("samples" in event["message"] for event in events(folder, "message")), process)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join()
    assert process.exitcode == 0
    assert outcome(folder)["outcome"] == "stopped"
    assert outcome(folder)["step"] == events(folder, "checkpoint")[-1]["step"]
    # A resumed attempt that is stopped before it has done anything is where it was.
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    again = write_spec(tmp_path / "again", resume_from=last_checkpoint(folder), **{**files, "training_file": pipe})
    process = start(again)
    with pipe.open("wb"):
        terminate(process)
    keys = ("step", "trained_tokens")
    assert [outcome(again)[key] for key in keys] == [outcome(folder)[key] for key in keys]


def test_the_module_fails_with_status_1(tmp_path: Path, files: dict[str, Any]) -> None:
    folder = write_spec(tmp_path / "run", **{**files, "training_file": tmp_path / "missing.jsonl"})
    process = subprocess.run([sys.executable, "-m", "trainers", str(folder)], capture_output=True, check=False)
    assert process.returncode == 1
    assert error(folder)["code"] == "trainer_error"
