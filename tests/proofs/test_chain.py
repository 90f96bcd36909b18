"""From random weights to rewards through the API, each stage from the model of an earlier one, asked the same sums.

Pre-training reads sums as text, and supervised training answers them in chats. From there DPO and a reward model prefer
right answers to wrong ones, PPO is scored by that reward model, and reinforcement by whether an answer is right.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tunesmith import Tunesmith

from core.rows.tokens import ChatTokenizer
from tests.conftest import ProjectKey
from tests.proofs import adder
from tests.proofs.preferences import misread, pairs
from tests.proofs.report import Proof, keep
from tests.proofs.test_reinforcement import RIGHT
from tests.stack import Stack
from tests.trainers.runs import write_rows
from trainers import scores

SEED = 1
DIGITS = 2  # of a number: there are 10,000 sums, and all stages train on those that are not held out
SHOWN = 3  # sums whose answers are written down
SIZES = {"hidden_size": 128, "layers": 3, "heads": 4, "intermediate_size": 384, "context": 128}
INITIALIZATION: dict[str, Any] = {
    "sizes": SIZES,
    "initializer_range": 0.08,
    "tokenizer": {"type": "bpe", "vocab_size": 259},
}
PRETRAINING: dict[str, Any] = {
    "max_steps": 1000,
    "max_length": 128,
    "hyperparameters": {"batch_size": 16},
    "optimization": {"learning_rate": 1.5e-3, "schedule": "cosine"},
}
SUPERVISED: dict[str, Any] = {
    "weights": "full",
    "max_steps": 2000,
    "hyperparameters": {"batch_size": 32},
    "optimization": {"learning_rate": 1.5e-3, "schedule": "cosine"},
}
FULL: dict[str, Any] = {"weights": "full", "samples": adder.NO_SAMPLES}
DPO: dict[str, Any] = {
    **FULL,
    "max_steps": 100,
    "hyperparameters": {"batch_size": 32, "beta": 1.0},
    "optimization": {"learning_rate": 1e-4},
}
REWARD_MODEL: dict[str, Any] = {
    **FULL,
    "max_steps": 1000,
    "hyperparameters": {"batch_size": 32},
    "optimization": {"learning_rate": 1e-3},
}
PPO: dict[str, Any] = {
    **FULL,
    "max_steps": 30,
    "hyperparameters": {"batch_size": 128},
    "optimization": {"learning_rate": 1e-4},
    "max_completion_tokens": adder.LONGEST,
    "kl_target": 0.5,
    "kl_horizon": 1000,
}
REINFORCEMENT: dict[str, Any] = {
    **FULL,
    "grader": RIGHT,
    "max_steps": 60,
    "group_size": 8,
    "hyperparameters": {"batch_size": 32},
    "optimization": {"learning_rate": 2e-4},
    "max_completion_tokens": adder.LONGEST,
}


@dataclass(frozen=True)
class Files:
    """Of sums that are not held out: as text, as chats, as pairs and as prompts."""

    text: Path
    chats: Path
    pairs: Path
    prompts: Path


@pytest.mark.proof
@pytest.mark.timeout(3600)
def test_each_stage_goes_on_from_an_earlier_one(stack: Stack, project: ProjectKey, tmp_path: Path) -> None:
    held_out, files = write_files(tmp_path)
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
            table.append({"after": type_, **(scored if type_ == "reward_model" else answered)(folder, held_out)})
            print(table[-1])  # noqa: T201 - the figures
            return job.fine_tuned_model

        first = train("initialization", INITIALIZATION, files.text, None)
        second = train("pretraining", PRETRAINING, files.text, first)
        third = train("supervised", SUPERVISED, files.chats, second)
        train("dpo", DPO, files.pairs, third)
        judge = train("reward_model", REWARD_MODEL, files.pairs, third)
        train("ppo", PPO | {"reward_models": [judge]}, files.prompts, third)
        train("reinforcement", REINFORCEMENT, files.prompts, third)
    right = {row["after"]: row["exact match"] for row in table}
    assert right["initialization"] == 0
    assert right["supervised"] >= 0.5
    for method in ("dpo", "ppo", "reinforcement"):
        assert right[method] >= right["supervised"] - 0.05
    keep(
        Proof(
            "chain",
            "Pre-training and supervised training each from the model of the stage before it, all others from the "
            "supervised one, through the API: what the model answers to the same sums (written from the last digit "
            f"on), of which no training had one, and how many of {len(held_out)} are right. The reward model scores "
            "the right answers instead.",
            "",
            table,
            {},
        )
    )


def answered(folder: Path, held_out: list[str]) -> dict[str, object]:
    shown = held_out[:SHOWN]
    said = {asked: f"`{said!r}`" for asked, said in zip(shown, adder.said_by(folder, shown), strict=True)}
    return {"exact match": adder.share_right(folder, held_out), **said}


def scored(folder: Path, held_out: list[str]) -> dict[str, object]:
    shown = held_out[:SHOWN]
    chats = [adder.chat(asked, adder.answer(asked)) for asked in shown]
    found = scores.score([scores.load(folder)], chats, ChatTokenizer.load(folder))
    return {"exact match": "–", **{asked: f"scored {one.mean:.2f}" for asked, one in zip(shown, found, strict=True)}}


def write_files(folder: Path) -> tuple[list[str], Files]:
    """(held-out sums, files)"""
    sums = adder.draw_sums(SEED, count=10 ** (2 * DIGITS), digits=DIGITS)
    held_out, trained = sums[: adder.HELD_OUT], sums[adder.HELD_OUT :]
    text = folder / "sums.txt"
    text.write_text("".join(f"{asked}={adder.answer(asked)}\n" for asked in trained))
    chats = [adder.pair(asked, adder.answer(asked)) for asked in trained]
    preferred = pairs(misread(trained, seed=SEED), None)
    prompts = [{"problem": asked, "answer": adder.answer(asked)} for asked in trained]
    return held_out, Files(
        text,
        write_rows(folder / "chats.jsonl", chats),
        write_rows(folder / "pairs.jsonl", preferred),
        write_rows(folder / "prompts.jsonl", prompts),
    )
