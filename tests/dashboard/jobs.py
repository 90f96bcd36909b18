"""Real jobs to look at, and texts that would like to be more than text."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from tunesmith import Tunesmith
from tunesmith.types import Job

from core.access.owner import Owner
from core.db import session_scope
from core.jobs import claims, publishing, samples
from core.specs.rollouts import FILE, Rollout
from core.specs.run import RunResult
from core.storage import Storage
from tests.core.factories import make_job
from tests.stack import Stack

HOSTILE = (
    "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>{{ window.hacked = 1 }}"
    "</textarea>\u202egnp.exe\u202c 👩‍🚀 مرحبا"
)


def client(stack: Stack, key: str) -> Tunesmith:
    return Tunesmith(base_url=f"{stack.url}/v1", api_key=key)


def rows_file(folder: Path, rows: list[dict[str, Any]], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


def doubles(count: int) -> list[dict[str, Any]]:
    return [
        {
            "messages": [
                {"role": "user", "content": f"{i}+{i}? {HOSTILE}"},
                {"role": "assistant", "content": str(2 * i)},
            ]
        }
        for i in range(count)
    ]


def supervised(api: Tunesmith, folder: Path, *, suffix: str = "doubles", **options: Any) -> Job:
    chosen = {"max_steps": 12, "hyperparameters": {"batch_size": 4}} | options
    return api.fine_tuning.jobs.create(
        model="tiny-random-llama",
        training_file=rows_file(folder, doubles(24)),
        validation_file=rows_file(folder, doubles(3), "held-out.jsonl"),
        suffix=suffix,
        metadata={"team": HOSTILE},
        method={"type": "supervised", "supervised": chosen},  # pyright: ignore[reportArgumentType]
    )


RIGHT = {
    "type": "string_check",
    "name": "right",
    "operation": "ilike",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
}


def reinforcement(api: Tunesmith, folder: Path) -> Job:
    prompts = [{"messages": [{"role": "user", "content": f"say {i} {HOSTILE}"}], "answer": str(i)} for i in range(8)]
    options = {
        "grader": RIGHT,
        "max_steps": 4,
        "max_completion_tokens": 8,
        "group_size": 2,
        "hyperparameters": {"batch_size": 2},
    }
    return api.fine_tuning.jobs.create(
        model="tiny-random-llama",
        training_file=rows_file(folder, prompts, "prompts.jsonl"),
        suffix="says",
        method={"type": "reinforcement", "reinforcement": options},  # pyright: ignore[reportArgumentType]
    )


def outspoken(engine: Engine, storage: Storage, owner: Owner, folder: Path) -> str:
    """A job that has ended, whose model and log say HOSTILE, and a megabyte of it; answers its id.

    No worker may be there to take it first.
    """
    long = HOSTILE + "x" * 2**20
    answers = [
        Rollout(
            number=number, step=1, row=0, prompt=[{"role": "user", "content": HOSTILE}], completion=said,
            completion_tokens=9, truncated=False, reward=0.5, rewards={"right": 0.5}, advantage=0.0, error=HOSTILE,
        )
        for number, said in enumerate((HOSTILE, long))
    ]  # fmt: skip
    sample = {"row": 0, "prompt": long, "expected": HOSTILE, "before": HOSTILE, "after": HOSTILE}
    source, prefix = folder / "outspoken", "orgs/org/outspoken/"
    source.mkdir()
    (source / FILE).write_text("".join(answer.model_dump_json() + "\n" for answer in answers))
    (source / samples.FILE).write_text(json.dumps(sample) + "\n")
    stored = publishing.Folder(prefix, storage.put_folder(prefix, source))
    result = RunResult(outcome="succeeded", step=1, trained_tokens=1)
    with session_scope(engine) as session:
        job = make_job(session, owner, method={"type": "reinforcement", "reinforcement": {"grader": RIGHT}})
        assert claims.claim(session, worker_id="w", devices=0, lease=3600) is job
        held = {"token": job.token or 0, "lease": 3600}
        publishing.record_log(session, **held, start=0, end=len(long), text=long)
        publishing.succeed(session, **held, result=result, folder=stored, results_name="results.csv")
        return job.id
