"""What error.json says."""

import errno
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.trainers.runs import error, events, pair, write_rows, write_spec
from trainers.run import explain, run

TOO_LONG = pair("x" * 50, "y" * 50)


@pytest.mark.parametrize(
    ("rows", "supervised", "message", "param"),
    [
        (
            [pair("a", "b"), TOO_LONG],
            {"max_length": 64, "long_rows": "error"},
            "training_file: line 2: has 121 tokens, but max_length is 64",
            "training_file",
        ),
        (
            [TOO_LONG, TOO_LONG],
            {"max_length": 64, "long_rows": "drop"},
            "training_file: all rows are longer than max_length (64)",
            "training_file",
        ),
        ([], {}, "training_file: the file has no rows", "training_file"),
        ([{"prompt": "a"}], {}, "training_file: line 1: completion: a string is needed, not nothing", "training_file"),
        (
            [pair("a", "b")],
            {"max_length": 4096},
            "max_length: 4096 was asked for, but the model's context is 2048",
            "method.supervised.max_length",
        ),
    ],
)
def test_faults_of_the_job(
    tmp_path: Path, tiny: Path, rows: list[Any], supervised: dict[str, Any], message: str, param: str
) -> None:
    training_file = write_rows(tmp_path / "rows.jsonl", rows)
    folder = write_spec(tmp_path / "run", base=tiny, training_file=training_file, supervised=supervised)
    assert run(folder) == 1
    assert error(folder)["message"] == message
    assert (error(folder)["param"], error(folder)["retryable"]) == (param, False)
    assert not (folder / "result.json").exists()


def test_a_loss_that_is_no_number(tmp_path: Path, tiny: Path, few_rows: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    for path in tiny.iterdir():
        (broken / path.name).write_bytes(path.read_bytes())
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], torch.nan)
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    folder = write_spec(tmp_path / "run", base=broken, training_file=few_rows, supervised={})
    assert run(folder) == 1
    assert (error(folder)["code"], error(folder)["retryable"]) == ("diverged", False)
    assert events(folder, "checkpoint") == []


def test_the_unexpected_tells_no_path(tmp_path: Path, few_rows: Path) -> None:
    folder = write_spec(tmp_path / "run", base=tmp_path / "nowhere", training_file=few_rows, supervised={})
    assert run(folder) == 1
    assert (error(folder)["code"], error(folder)["retryable"]) == ("trainer_error", True)
    assert str(tmp_path) not in error(folder)["message"]


def test_an_earlier_outcome_in_the_same_folder_is_gone(tmp_path: Path, tiny: Path, few_rows: Path) -> None:
    folder = write_spec(tmp_path / "run", base=tmp_path / "nowhere", training_file=few_rows, supervised={})
    run(folder)
    (folder / "events.jsonl").write_bytes(b'{"type":"mess')
    spec = (folder / "spec.json").read_text().replace(str(tmp_path / "nowhere"), str(tiny))
    (folder / "spec.json").write_text(spec)
    assert run(folder) == 0
    assert not (folder / "error.json").exists()
    assert events(folder)[0]["type"] == "resolved"


def wrapped(cause: Exception) -> Exception:
    outer = RuntimeError("writing failed")
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (MemoryError(), "out_of_memory"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory"),
        (RuntimeError("could not create a primitive"), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"), "out_of_memory"),
        (OSError(errno.ENOSPC, "No space left on device", "/host/path"), "disk_full"),
        (wrapped(OSError(errno.ENOSPC, "No space left on device")), "disk_full"),
        (RuntimeError("enforce fail . PytorchStreamWriter failed writing file data/5: file write failed"), "disk_full"),
        (KeyError("/host/path"), "trainer_error"),
    ],
)
def test_what_another_attempt_may_do_better(raised: Exception, code: str) -> None:
    explained = explain(raised)
    assert (explained.code, explained.retryable) == (code, True)
    assert "/host" not in explained.message


def test_out_of_memory_tells_the_peak() -> None:
    message = explain(MemoryError()).message
    assert re.fullmatch(r"The trainer ran out of memory; it took \d+\.\d\d GiB at its peak", message)


def test_where_the_traceback_cannot_be_written_the_outcome_still_is(tmp_path: Path, few_rows: Path) -> None:
    folder = write_spec(tmp_path / "run", base=tmp_path / "nowhere", training_file=few_rows, supervised={})
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "trainers", str(folder)]
        done = subprocess.run(command, stdout=full, stderr=full, timeout=120, check=False)
    assert done.returncode != 0
    assert error(folder)["code"] == "trainer_error"
