"""Run directories for tests: written, run here or in a forked child, and read back."""

import contextlib
import csv
import hashlib
import json
import multiprocessing
import os
import subprocess
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from core.specs.method import USABLE_KINDS
from trainers.run import run

FORKSERVER = multiprocessing.get_context("forkserver")


def write_rows(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def pair(prompt: str, completion: str) -> dict[str, str]:
    return {"prompt": prompt, "completion": completion}


def write_spec(folder: Path, *, base: Path | None, training_file: Path | str, **fields: Any) -> Path:
    """A run directory with its spec; CPU, two threads, or as many as OMP_NUM_THREADS says.

    Args:
        fields: of the spec; in the place of `method` the options of one by its name, as in `dpo={"beta": 0.2}`.
    """
    folder.mkdir(parents=True)
    (type_,) = fields.keys() & USABLE_KINDS.keys()
    spec = {
        "job_id": "ftjob-test",
        "method": {"type": type_, type_: fields.pop(type_)},
        "base_model": str(base or ""),
        "base_model_name": "tiny-llama",
        "training_file": str(training_file),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "2")),
        **{key: str(value) if isinstance(value, Path) else value for key, value in fields.items()},
    }
    (folder / "spec.json").write_text(json.dumps(spec))
    return folder


def events(run_dir: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """What the trainer has said so far, without a last line that it is still writing."""
    path = run_dir / "events.jsonl"
    lines = path.read_bytes().rpartition(b"\n")[0].splitlines() if path.exists() else []
    return [event for event in map(json.loads, lines) if kind in (None, event["type"])]


def outcome(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "result.json").read_text())


def error(run_dir: Path) -> dict[str, Any]:
    return json.loads((run_dir / "error.json").read_text())


def adapter_digest(run_dir: Path) -> str:
    return hashlib.sha256((run_dir / "artifacts/adapter_model.safetensors").read_bytes()).hexdigest()


def results(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "artifacts/results.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def samples(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "artifacts/samples.jsonl").read_text().splitlines()]


def last_checkpoint(run_dir: Path) -> Path:
    return run_dir / events(run_dir, "checkpoint")[-1]["path"]


def child(path: str) -> None:
    """What a forked child does; it has imported torch already, in the forkserver."""
    raise SystemExit(run(Path(path)))


def start(run_dir: Path) -> ForkServerProcess:
    FORKSERVER.set_forkserver_preload(["trainers.preload"])
    process = FORKSERVER.Process(target=child, args=(str(run_dir),))
    process.start()
    return process


def wait_until(happened: Callable[[], object], process: ForkServerProcess | subprocess.Popen[bytes]) -> None:
    """Look again and again while the trainer runs; waiting for its end is what paces it."""
    while not happened():
        if isinstance(process, subprocess.Popen):
            with contextlib.suppress(subprocess.TimeoutExpired):
                raise AssertionError(f"the trainer ended too early, with status {process.wait(0.01)}")
        else:
            process.join(0.01)
            assert process.exitcode is None, "the trainer ended too early"
