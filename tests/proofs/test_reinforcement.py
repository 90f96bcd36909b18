"""GRPO on sums from a half-trained adder, beside rewards that are dealt out anew within each batch; and the reasoning
reward on chains of thought, beside brevity alone.

All are judged on rows that no training saw; each seed has rows of its own to train on.
"""

import random
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from graders.reasoning import form_checks
from tests.proofs import adder, reasoner
from tests.proofs.report import Curves, Proof, keep, validated
from tests.proofs.test_preferences import HELD_OUT, SEEDS, sums_of
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
    "max_steps": 400,
    "max_completion_tokens": adder.LONGEST,
    "hyperparameters": {"batch_size": 32},
    "optimization": {"learning_rate": 5e-4},
}
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


def test_the_reasoning_reward_keeps_chains_and_brevity_alone_does_not(tmp_path: Path) -> None:
    start = reasoner.train_half(tmp_path)
    held_out = reasoner.asked(0, count=reasoner.HELD_OUT)
    table: list[dict[str, object]] = []
    curves: Curves = {"reasoning": [], "brevity alone": []}
    before = judged(start, held_out)
    print(before)  # noqa: T201 - the figures
    graders = {
        "reasoning": {"grader": reasoner.REASONING, "watch": reasoner.SHORT},
        "brevity alone": {"grader": reasoner.SHORT, "watch": reasoner.REASONING},
    }
    for seed in SEEDS:
        known = {row["problem"] for row in held_out}
        drawn = reasoner.asked(seed, count=reasoner.HELD_OUT + 2 * reasoner.ROWS)[-reasoner.ROWS :]
        rows = [row for row in drawn if row["problem"] not in known]
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
    shows = (
        "Chains of thought for sums of two-digit numbers, a third of the prompts being riddles without an answer, from "
        f"a model that is right on {before['right']:.0%} of all, in a form that is right on {before['form']:.0%}, with "
        f"{before['length of right']:.0f} characters where it is right and {before['length on riddles']:.0f} on "
        "riddles. Curves: the reasoning reward of held-out rows, which the training on brevity alone only watches. "
        "Brevity weighs 3.0 in both rewards and halves at 40 characters (by default 0.2 and 1,000). Of wrong answers "
        "those to riddles alone are measured."
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
