"""`python -m benchmarks.jobs`: what a job costs besides its training, on a whole stack of one CPU slot.

On the tiny random Llama, whose steps take milliseconds, so that nothing hides behind them:

- the create call to the first training step that a client sees, on a warm worker, beside a cold `python -m trainers`;
- a job's training, first step to last, beside that of the same trainer called directly;
- eight jobs sent at once, end to end, beside the sum of their training.

A client listens to the job's stream of events, as `jobs watch` does; they come in batches, a second apart
once the job has run for ten.
"""

import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.asked import at_most
from benchmarks.pairs import in_turns, ratio

ROOT = Path(__file__).parent.parent
MODEL = "tiny-random-llama"
SOURCE = {"kind": "random", "location": "tiny-llama"}
LOOK = 0.05  # seconds
STARTS, COLD_STARTS, PAIRS, JOBS = 9, 3, 3, 8
SHORT, LONG = 3, 1500  # steps
EIGHT = 400  # steps of each of the eight
ENDED = ("succeeded", "failed", "cancelled")


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = folder / "rows.jsonl"
        rows.write_text("".join(json.dumps(row) + "\n" for row in make_rows(200)))
        model = prepare(folder)
        with stack(folder / "stack") as http:
            file_id = upload(http, rows)
            finish(http, create(http, file_id, steps=SHORT))  # the base model is prepared, the worker warm

            starts = [seconds_to_first_step(http, file_id) for _ in range(STARTS)]
            cold = [direct(model, rows, folder, steps=SHORT)[0] for _ in range(COLD_STARTS)]
            shown = f"{statistics.median(starts):.2f} s ({min(starts):.2f}-{max(starts):.2f}, {STARTS} jobs)"
            print(f"create to first step: {shown}; a cold trainer takes {statistics.median(cold):.1f} s", flush=True)

            pairs = in_turns(
                lambda: training_of_job(http, file_id),
                lambda: direct(model, rows, folder, steps=LONG)[1],
                pairs=PAIRS,
            )
            overhead = ratio(pairs)
            alone = statistics.median(seconds for _, seconds in pairs)
            print(f"training of a job / called directly ({LONG} steps, {alone:.1f} s): {overhead}", flush=True)

            together = [seconds_of_eight(http, file_id) for _ in range(PAIRS)]
            single = [direct(model, rows, folder, steps=EIGHT)[1] for _ in range(PAIRS)]
            share = [all_of_them / (JOBS * statistics.median(single)) for all_of_them in together]
            print(
                f"{JOBS} jobs at once: {statistics.median(together):.1f} s, {statistics.median(share):.2f} "
                f"({min(share):.2f}-{max(share):.2f}) times {JOBS} trainings of {statistics.median(single):.1f} s"
            )
        reached = [
            at_most("seconds to the first step", statistics.median(starts), 2),
            at_most("training of a job / direct", overhead.median, 1.05),
            at_most("eight jobs / their training", statistics.median(share), 1.3),
        ]
        return 0 if all(reached) else 1


def make_rows(count: int) -> Iterator[dict[str, str]]:
    draw = random.Random(0)
    for _ in range(count):
        word = "".join(draw.choices("abcdefgh", k=draw.randint(4, 40)))
        yield {"prompt": word, "completion": word.upper()}


def prepare(folder: Path) -> Path:
    model = folder / "model"
    spec = folder / "prepare.json"
    spec.write_text(json.dumps({"source": SOURCE, "folder": str(model)}))
    subprocess.run([sys.executable, "-m", "trainers.prepare", spec], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    return model


@contextmanager
def stack(data_dir: Path) -> Iterator[httpx.Client]:
    """`tunesmith-server` with its own services; a client of its first project."""
    server = Path(sys.executable).with_name("tunesmith-server")
    subprocess.run([server, "up", "--detach", "--data-dir", data_dir], check=True, stdout=subprocess.DEVNULL)
    try:
        lines = (data_dir / "env").read_text().splitlines()
        given = dict(line.split("=", 1) for line in lines if "=" in line)
        headers = {"authorization": f"Bearer {given['TUNESMITH_API_KEY']}"}
        with httpx.Client(base_url=given["TUNESMITH_BASE_URL"], headers=headers, timeout=60) as http:
            yield http
    finally:
        subprocess.run([server, "down", "--data-dir", data_dir], check=True, stdout=subprocess.DEVNULL)


def upload(http: httpx.Client, rows: Path) -> str:
    answer = http.post("/files", data={"purpose": "fine-tune"}, files={"file": (rows.name, rows.read_bytes())})
    file_id = answer.raise_for_status().json()["id"]
    eventually(lambda: http.get(f"/files/{file_id}").json()["status"] == "processed")
    return file_id


def supervised(steps: int) -> dict[str, Any]:
    return {"type": "supervised", "supervised": {"max_steps": steps, "hyperparameters": {"batch_size": 4}}}


def create(http: httpx.Client, file_id: str, *, steps: int) -> str:
    body = {"model": MODEL, "training_file": file_id, "seed": 0, "method": supervised(steps)}
    return http.post("/fine_tuning/jobs", json=body).raise_for_status().json()["id"]


def finish(http: httpx.Client, job_id: str) -> None:
    job = eventually(lambda: ended(http, job_id))
    assert job["status"] == "succeeded", job["error"]


def ended(http: httpx.Client, job_id: str) -> dict[str, Any] | None:
    job = http.get(f"/fine_tuning/jobs/{job_id}").json()
    return job if job["status"] in ENDED else None


def seen(http: httpx.Client, job_id: str, steps: tuple[int, ...]) -> list[float]:
    """When a client that listens to the job's events hears of each of these steps; the job's end is waited for."""
    times: dict[int, float] = {}
    with http.stream("GET", f"/fine_tuning/jobs/{job_id}/events", params={"stream": "true"}, timeout=None) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: ") and '"metrics"' in line:
                times.setdefault(json.loads(line.removeprefix("data: "))["data"]["step"], time.perf_counter())
    finish(http, job_id)
    return [times[step] for step in steps]


def seconds_to_first_step(http: httpx.Client, file_id: str) -> float:
    started = time.perf_counter()
    (first,) = seen(http, create(http, file_id, steps=SHORT), (1,))
    return first - started


def training_of_job(http: httpx.Client, file_id: str) -> float:
    """Seconds from the first step that a client hears of to the last one, whose batch the trainer's end sends off."""
    first, last = seen(http, create(http, file_id, steps=LONG), (1, LONG))
    return last - first


def seconds_of_eight(http: httpx.Client, file_id: str) -> float:
    started = time.perf_counter()
    jobs = [create(http, file_id, steps=EIGHT) for _ in range(JOBS)]
    for job_id in jobs:
        finish(http, job_id)
    return time.perf_counter() - started


def direct(model: Path, rows: Path, folder: Path, *, steps: int) -> tuple[float, float]:
    """(seconds to the first step, from there to the last one) of `python -m trainers`, seen in its events."""
    run_dir = Path(tempfile.mkdtemp(dir=folder))
    spec = {
        "job_id": "ftjob-benchmark",
        "method": supervised(steps),
        "base_model": str(model),
        "base_model_name": MODEL,
        "training_file": str(rows),
    }
    (run_dir / "spec.json").write_text(json.dumps(spec))
    started = time.perf_counter()
    command = [sys.executable, "-m", "trainers", run_dir]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        first = eventually(lambda: _written(run_dir, 1) and time.perf_counter())
        last = eventually(lambda: _written(run_dir, steps) and time.perf_counter())
        assert process.wait() == 0
    return first - started, last - first


def _written(run_dir: Path, step: int) -> bool:
    events = run_dir / "events.jsonl"
    return events.exists() and f'"step":{step},"total_steps"' in events.read_text()


def eventually(look: Callable[[], Any]) -> Any:
    while not (found := look()):
        time.sleep(LOOK)
    return found


if __name__ == "__main__":
    sys.exit(main())
