"""From random weights to preferences through the API, each stage from the model of the one before, asked the same sums.

Pre-training reads sums as text, supervised training answers them in chats, and DPO prefers right answers to wrong ones.
"""

import random
from pathlib import Path
from typing import Any

import pytest
from tunesmith import Tunesmith

from tests.conftest import ProjectKey
from tests.proofs import adder
from tests.proofs.report import Proof, keep
from tests.stack import Stack
from tests.trainers.runs import write_rows

SEED = 1
SHOWN = 3  # sums whose answers are written down
SIZES = {"hidden_size": 128, "layers": 3, "heads": 4, "intermediate_size": 384, "context": 128}
INITIALIZATION: dict[str, Any] = {"sizes": SIZES, "tokenizer": {"type": "bpe", "vocab_size": 259}}
PRETRAINING: dict[str, Any] = {
    "max_steps": 1500,
    "max_length": 128,
    "hyperparameters": {"batch_size": 16},
    "optimization": {"learning_rate": 1.5e-3, "schedule": "cosine"},
}
SUPERVISED: dict[str, Any] = {
    "weights": "full",
    "max_steps": 400,
    "hyperparameters": {"batch_size": 32},
    "optimization": {"learning_rate": 5e-4, "schedule": "cosine"},
}
DPO: dict[str, Any] = {
    "weights": "full",
    "max_steps": 100,
    "hyperparameters": {"batch_size": 32, "beta": 1.0},
    "optimization": {"learning_rate": 1e-4},
}


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_each_stage_goes_on_from_the_one_before(stack: Stack, project: ProjectKey, tmp_path: Path) -> None:
    held_out, text, chats, pairs = write_files(tmp_path)
    table: list[dict[str, object]] = []
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:

        def train(type_: str, options: dict[str, Any], file: Path, model: str | None) -> str:
            jobs = client.fine_tuning.jobs
            method: Any = {"type": type_, type_: options}
            file_id = client.files.create(file=file).id
            job = jobs.wait(jobs.create(method=method, model=model, training_file=file_id, seed=SEED).id, timeout=1800)
            assert job.status == "succeeded", job.error
            folder = tmp_path / type_
            jobs.artifacts.download(job.id, folder)
            shown = held_out[:SHOWN]
            said = {asked: f"`{said!r}`" for asked, said in zip(shown, adder.said_by(folder, shown), strict=True)}
            table.append({"after": type_, "exact match": adder.share_right(folder, held_out), **said})
            print(table[-1])  # noqa: T201 - the figures
            return job.fine_tuned_model

        first = train("initialization", INITIALIZATION, text, None)
        second = train("pretraining", PRETRAINING, text, first)
        third = train("supervised", SUPERVISED, chats, second)
        train("dpo", DPO, pairs, third)
    begun, _, answered, preferred = (row["exact match"] for row in table)
    assert begun == 0
    assert answered >= 0.5
    assert preferred >= answered - 0.05
    keep(
        Proof(
            "chain",
            "Each stage from the model of the one before it, through the API: what it answers to the same sums "
            f"(written from the last digit on), of which no training had one, and how many of {len(held_out)} are "
            "right.",
            "",
            table,
            {},
        )
    )


def write_files(folder: Path) -> tuple[list[str], Path, Path, Path]:
    """(held-out sums, text, chats, pairs)"""
    sums = adder.draw_sums(SEED, count=adder.HELD_OUT + 40_000)
    held_out, trained = sums[: adder.HELD_OUT], sums[adder.HELD_OUT :]
    text = folder / "sums.txt"
    text.write_text("".join(f"{asked}={adder.answer(asked)}\n" for asked in trained))
    chats = [adder.pair(asked, adder.answer(asked)) for asked in trained[:10_000]]
    draw = random.Random(SEED)
    preferred = [
        {
            "prompt": asked,
            "chosen": adder.answer(asked),
            "rejected": adder.misread(asked, draw),
        }
        for asked in trained[10_000:13_200]
    ]
    return held_out, text, write_rows(folder / "chats.jsonl", chats), write_rows(folder / "pairs.jsonl", preferred)
