"""The reasoning reward on chains of thought, beside brevity alone.

Both are judged on rows that no training saw; each seed has rows of its own to train on.
"""

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from graders.reasoning import form_checks
from tests.proofs import adder, reasoner
from tests.proofs.preferences import SEEDS
from tests.proofs.report import Curves, Proof, keep, validated
from tests.proofs.test_reinforcement import COMMON
from tests.trainers.conftest import RENAMED

CHAINS: dict[str, Any] = {
    **COMMON,
    "max_steps": 400,
    "beta": 0.02,
    # Divided by the spread of their group, brevity among right answers would weigh as much as being right.
    "scale_rewards": "none",
    "max_completion_tokens": reasoner.LONGEST,
    "hyperparameters": {"batch_size": 16},
    "optimization": {"learning_rate": 5e-4},
}
ALONE = 100  # steps of the training on brevity alone

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(3600)]


def test_the_reasoning_reward_keeps_chains_and_brevity_alone_does_not(tmp_path: Path) -> None:
    start = reasoner.train_half(tmp_path)
    held_out = reasoner.held_out()
    table: list[dict[str, object]] = []
    curves: Curves = {"reasoning": [], "brevity alone": []}
    before = judged(start, held_out)
    print(before)  # noqa: T201 - the figures
    graders = {
        "reasoning": {"grader": reasoner.REASONING, "watch": reasoner.SHORT},
        # Nothing is left to lose after the first steps.
        "brevity alone": {
            "grader": reasoner.SHORT,
            "watch": reasoner.REASONING,
            "max_steps": ALONE,
            "eval_interval": ALONE // 10,
        },
    }
    for seed in SEEDS:
        rows = reasoner.trained(seed, held_out)
        found: dict[str, dict[str, float]] = {}
        for name, given in graders.items():
            run_dir = adder.train(
                tmp_path / f"{name}-{seed}", start, rows, held_out, seed=seed, reinforcement=CHAINS | given
            )
            watched = validated(run_dir, "valid_watch_score_mean" if name == "brevity alone" else "valid_reward_mean")
            curves[name].append(watched)
            found[name] = judged(run_dir / "artifacts", held_out) | {"reasoning reward": watched[1][-1]}
            table.append({"seed": seed, "reward": name, **found[name]})
            print(table[-1])  # noqa: T201 - the figures
        after, collapsed = found["reasoning"], found["brevity alone"]
        assert after["right"] >= before["right"] + 0.1
        assert after["form"] >= before["form"] - 0.02
        assert after["length of right"] <= 0.85 * before["length of right"]
        assert after["length on riddles"] >= 0.9 * before["length on riddles"]
        assert collapsed["right"] <= 0.1 * before["right"]
        assert collapsed["form"] <= 0.5 * before["form"]
        assert collapsed["reasoning reward"] <= 0.5 * after["reasoning reward"]
        assert collapsed["reasoning reward"] < 0.5 * curves["brevity alone"][-1][1][0]  # seen to fall
    shows = (
        "Chains of thought for sums of two-digit numbers, a third of the prompts being riddles without an answer, from "
        f"a model that is right on {before['right']:.0%} of all, in a form that is right on {before['form']:.0%}, with "
        f"{before['length of right']:.0f} characters where it is right and {before['length on riddles']:.0f} on "
        "riddles. Curves: the reasoning reward of held-out rows, which the training on brevity alone, of "
        f"{ALONE} steps, only watches. Brevity weighs 3.0 in both rewards and halves at 40 characters (by default 0.2 "
        "and 1,000). Of wrong answers those to riddles alone are measured."
    )
    keep(Proof("reasoning", shows, "reasoning reward", table, curves))


def judged(folder: Path, rows: list[dict[str, str]]) -> dict[str, float]:
    """Of greedy answers: the share that is right, the mean share of form checks, and lengths in characters.

    Of wrong answers only those to riddles are measured, which are never right: wrong sums are others before and after.
    """
    said = reasoner.said_by(folder, rows)
    right = [reasoner.right(row, text) for row, text in zip(rows, said, strict=True)]
    riddles = [len(text) for row, text in zip(rows, said, strict=True) if reasoner.is_riddle(row)]
    return {
        "right": fmean(right),
        "form": fmean(fmean(form_checks(text).values()) for text in said),
        "length of right": fmean([len(text) for text, ok in zip(said, right, strict=True) if ok] or [0]),
        "length on riddles": fmean(riddles),
    }
