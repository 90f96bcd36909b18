"""GRPO on sums from a half-trained adder, beside rewards that are dealt out anew within each batch.

All are judged on sums that no training saw; each seed has sums of its own to train on.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.proofs import adder
from tests.proofs.preferences import HELD_OUT, SEEDS, sums_of
from tests.proofs.report import Curves, Proof, keep, validated
from tests.trainers.conftest import RENAMED
from trainers import reinforcement

RIGHT = {
    "type": "string_check",
    "name": "right",
    "operation": "eq",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
}
COMMON: dict[str, Any] = {
    "weights": "full",
    "group_size": 8,
    "eval_interval": 25,
    "checkpoint_interval": 1000,
    "samples": adder.NO_SAMPLES,
}
SUMS: dict[str, Any] = {
    **COMMON,
    "grader": RIGHT,
    "max_steps": 250,
    "max_completion_tokens": adder.LONGEST,
    "hyperparameters": {"batch_size": 32},
    "optimization": {"learning_rate": 5e-4},
}

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(3600)]


def problem(asked: str) -> dict[str, str]:
    return {"problem": asked, "answer": adder.answer(asked)}


def test_rewards_for_right_sums_make_more_of_them_right(
    tmp_path: Path, adders: adder.Adders, monkeypatch: pytest.MonkeyPatch
) -> None:
    table: list[dict[str, object]] = []
    curves: Curves = {"reinforcement": [], "control": []}
    before = adder.share_right(adders.half_trained, HELD_OUT)
    held_out = list(map(problem, HELD_OUT[:200]))
    for seed in SEEDS:
        row: dict[str, object] = {"seed": seed, "before": before}
        for name in curves:
            with monkeypatch.context() as patch:
                if name == "control":
                    patch.setattr(reinforcement, "reward", dealt_anew(random.Random(seed)))
                rows = list(map(problem, sums_of(seed)))
                run_dir = adder.train(
                    tmp_path / f"{name}-{seed}", adders.half_trained, rows, held_out, seed=seed, reinforcement=SUMS
                )
            curves[name].append(validated(run_dir, "valid_reward_mean"))
            row[name] = adder.share_right(run_dir / "artifacts", HELD_OUT)
        table.append(row)
        print(row)  # noqa: T201 - the figures
        assert row["reinforcement"] >= before + 0.15
        assert row["control"] <= before + 0.02
    shows = (
        f"Exact match on {adder.HELD_OUT} held-out sums, of an adder that is right on {before:.0%} when it begins to "
        "be rewarded for its own right answers. The control gets the same rewards, dealt out anew within each batch."
    )
    keep(Proof("reinforcement", shows, "share of sampled answers that are right", table, curves))


def dealt_anew(draw: random.Random) -> Any:
    def reward(judge: Any, **_: Any) -> list[float]:
        return draw.sample(given := [answer.outcome.reward for answer in judge.latest], len(given))

    return reward
