"""Real jobs to look at, and texts that would like to be more than text."""

import json
from pathlib import Path
from typing import Any

from tunesmith import Tunesmith
from tunesmith.types import Job

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


def reinforcement(api: Tunesmith, folder: Path) -> Job:
    grader = {
        "type": "string_check",
        "name": "right",
        "operation": "ilike",
        "input": "{{ sample.output_text }}",
        "reference": "{{ item.answer }}",
    }
    prompts = [{"messages": [{"role": "user", "content": f"say {i} {HOSTILE}"}], "answer": str(i)} for i in range(8)]
    options = {
        "grader": grader,
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
