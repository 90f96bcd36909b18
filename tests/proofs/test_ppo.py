"""PPO on sums against a reward model of this service, beside one whose labels were chance.

The policy starts from an adder that is right on some sums only. The reward models start from a trained one; the wrong
answers of their pairs are the policy's own, and others with one wrong digit. Each seed has sums of its own; all are
judged on the same ones, which no training saw.
"""

import random
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.proofs import adder
from tests.proofs.preferences import misread, pairs, wrong_answers
from tests.proofs.report import Curves, Proof, keep, validated
from tests.proofs.test_preferences import COMPARED, HELD_OUT, REWARD_MODEL, SEEDS, sums_of
from tests.trainers.conftest import RENAMED
from tests.trainers.runs import events

TARGET = 0.7  # nats an answer
OWN = 8000  # sums whose wrong answers by the policy the reward model has learnt from
# Without a long warm-up it may forget what the adder knew: that of seed 2 told 85 % of the policy's own errors, and
# 99 % with it.
JUDGE = REWARD_MODEL | {"optimization": {"learning_rate": 1e-3, "warmup": 0.2}}
LAST = 20  # steps, over which the distance is to be at its target
PPO: dict[str, Any] = {
    "reward_models": ["ftmodel-1"],
    "weights": "full",
    "max_steps": 60,
    "hyperparameters": {"batch_size": 256},
    "optimization": {"learning_rate": 2e-4, "schedule": "constant"},
    "max_completion_tokens": adder.LONGEST,
    "kl_coefficient": 0.1,
    "kl_target": TARGET,
    "kl_horizon": 500,
    "eval_interval": 20,
    "checkpoint_interval": 1000,
    "samples": adder.NO_SAMPLES,
}

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(3600)]


def test_ppo_makes_more_sums_right(tmp_path: Path, adders: adder.Adders) -> None:
    table: list[dict[str, object]] = []
    curves: Curves = {"ppo": [], "control": []}
    before = adder.share_right(adders.half_trained, HELD_OUT)
    for seed in SEEDS:
        sums, row = sums_of(seed, count=COMPARED), {"seed": seed, "before": before}
        for name, swapped in (("ppo", None), ("control", random.Random(seed))):
            judge = reward_model(tmp_path / f"judge-{name}-{seed}", adders, sums, swapped, seed=seed)
            run_dir = adder.train(
                tmp_path / f"{name}-{seed}",
                adders.half_trained,
                list(map(prompt, sums)),
                list(map(prompt, HELD_OUT)),
                seed=seed,
                ppo=PPO,
                reward_models=[{"base": str(judge)}],
            )
            curves[name].append(validated(run_dir, "valid_score_mean"))
            row[name] = adder.share_right(run_dir / "artifacts", HELD_OUT)
            row[f"kl, {name}"] = fmean(event["data"]["train_kl"] for event in events(run_dir, "metrics")[-LAST:])
        table.append(row)
        print(row)  # noqa: T201 - the figures
        assert row["ppo"] >= before + 0.10
        assert row["control"] <= before
        assert abs(row["kl, ppo"] / TARGET - 1) <= 0.25
    keep(
        Proof(
            "ppo",
            f"Exact match on the held-out sums, from an adder that is right on {before:.0%}, and the mean distance of "
            f"the last {LAST} steps' answers from that adder's, in nats, which is steered towards {TARGET:g}. The "
            "control's reward model has learnt from pairs that were swapped at random.",
            "score of held-out prompts' answers",
            table,
            curves,
        )
    )


def prompt(asked: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": asked}]}


def reward_model(
    folder: Path, adders: adder.Adders, sums: list[str], swapped: random.Random | None, *, seed: int
) -> Path:
    learnt, held_out = (wrong_answers(adders.half_trained, asked, seed=seed) for asked in (sums[:OWN], HELD_OUT))
    rows = pairs(learnt + misread(sums, seed=seed), swapped)
    run_dir = adder.train(folder, adders.trained, rows, pairs(held_out, None), seed=seed, reward_model=JUDGE)
    return run_dir / "artifacts"
