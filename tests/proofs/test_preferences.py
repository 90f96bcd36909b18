"""Reward models, DPO and KTO on sums, beside labels that are chance.

A reward model starts from an adder, and its wrong answers have one wrong digit. DPO and KTO start from one that is
right on some sums only, and the wrong answers are its own: drawn from it, as pairs are best made (docs/methods/dpo.md).
Each seed has sums of its own; all are judged on the same ones, which no training saw.
"""

import random
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from core.rows.tokens import ChatTokenizer
from tests.proofs import adder, preferences
from tests.proofs.preferences import misread, pairs, thumbs
from tests.proofs.report import Curves, Proof, keep, validated
from tests.trainers.conftest import RENAMED
from tests.trainers.runs import outcome
from trainers import scores

SEEDS = (0, 1, 2)
ROWS, COMPARED = 4000, 20_000  # sums of preferences, and of those that a reward model compares
COMMON: dict[str, Any] = {
    "weights": "full",
    "eval_interval": 50,
    "checkpoint_interval": 1000,
    "samples": adder.NO_SAMPLES,
}
REWARD_MODEL: dict[str, Any] = {
    **COMMON,
    "max_steps": 1200,
    "hyperparameters": {"batch_size": 64},  # with half of it the rate is too high for what the adder knows
    "optimization": {"learning_rate": 1e-3},
}
DPO: dict[str, Any] = {
    **COMMON,
    "max_steps": 400,
    "hyperparameters": {"batch_size": 32, "beta": 2.0},
    "optimization": {"learning_rate": 2e-4},
}
# A wrong answer has right digits, too, whose probability falls with it unless it weighs little.
KTO: dict[str, Any] = {
    **COMMON,
    "max_steps": 300,
    "hyperparameters": {"batch_size": 32, "beta": 1.0},
    "optimization": {"learning_rate": 1e-4},
    "desirable_weight": 1.0,
    "undesirable_weight": 0.2,
}
HELD_OUT = adder.draw_sums(0, count=adder.HELD_OUT)
pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(3600)]


def sums_of(seed: int, *, count: int = ROWS) -> list[str]:
    """That a seed trains on."""
    drawn = adder.draw_sums(seed, count=adder.HELD_OUT + adder.ROWS + count)[-count:]
    return [asked for asked in drawn if asked not in HELD_OUT]


def test_a_reward_model_tells_right_from_wrong(tmp_path: Path, adders: adder.Adders) -> None:
    table: list[dict[str, object]] = []
    curves: Curves = {"right labels": [], "control": []}
    models = []
    held_out = pairs(misread(HELD_OUT, seed=0), None)
    for seed in SEEDS:
        answers, row = misread(sums_of(seed, count=COMPARED), seed=seed), {"seed": seed}
        for name, swapped in (("right labels", None), ("control", random.Random(seed))):
            folder, rows = tmp_path / f"{name}-{seed}", pairs(answers, swapped)
            run_dir = adder.train(folder, adders.trained, rows, held_out, seed=seed, reward_model=REWARD_MODEL)
            curves[name].append(validated(run_dir, "valid_accuracy"))
            row[name] = outcome(run_dir)["metrics"]["valid_accuracy"]
            if not swapped:
                models.append(scores.load(run_dir / "artifacts"))
        table.append(row)
        print(row)  # noqa: T201 - the figures
        assert row["right labels"] >= 0.95
        assert abs(row["control"] - 0.5) <= 0.15
    tokens = ChatTokenizer.load(adders.trained)
    on, off = (
        share_split(models, tokens, adder.draw_sums(0, count=adder.HELD_OUT, digits=digits)) for digits in (3, 4)
    )
    print(on, off)  # noqa: T201 - the figures
    assert off > on + 0.2
    keep(
        Proof(
            "reward_model",
            "Accuracy on held-out pairs: the right answer to a sum of three-digit numbers, and one with a wrong digit. "
            "The control's pairs are swapped at random. The three models do not prefer the same answer of a pair in "
            f"{on:.1%} of the held-out ones, and in {off:.1%} of pairs about sums of numbers of four digits, which no "
            "training had.",
            "validation accuracy",
            table,
            curves,
        )
    )


def share_split(models: list[Any], tokens: ChatTokenizer, sums: list[str]) -> float:
    """The share of right and wrong answers to sums about which the models are not of one mind."""
    answers = [(asked, adder.answer(asked)) for asked in sums]
    right, wrong = (
        scores.score(models, [adder.chat(*answer) for answer in each], tokens)
        for each in (answers, misread(sums, seed=0))
    )
    preferred = [
        {better > worse for better, worse in zip(one.each, other.each, strict=True)}
        for one, other in zip(right, wrong, strict=True)
    ]
    return fmean(len(which) > 1 for which in preferred)


def test_dpo_makes_more_sums_right(tmp_path: Path, adders: adder.Adders) -> None:
    shows = (
        "Exact match on the held-out sums, and the mean reward margin of their pairs. The control's pairs are swapped "
        "at random."
    )
    compare_seeds(tmp_path, adders.half_trained, pairs, shows, dpo=DPO)


def test_kto_makes_more_sums_right(tmp_path: Path, adders: adder.Adders) -> None:
    shows = (
        "Exact match on the held-out sums, and the reward margin between their right and their wrong answers. The "
        "control's labels are drawn at random; of its liked answers, which weigh more than the others, half are right, "
        "so that it may learn a little."
    )
    compare_seeds(tmp_path, adders.half_trained, thumbs, shows, of_control=preferences.KTO_CONTROL, kto=KTO)


def compare_seeds(
    tmp_path: Path,
    start: Path,
    make_rows: preferences.MakeRows,
    shows: str,
    *,
    of_control: float = 0.0,
    **method: dict[str, Any],
) -> None:
    """Train from each seed, beside the control, and judge."""
    (type_,) = method
    table: list[dict[str, object]] = []
    curves: Curves = {type_: [], "control": []}
    before = adder.share_right(start, HELD_OUT)
    for seed in SEEDS:
        found = preferences.compare(
            tmp_path / str(seed), start, make_rows, trained=sums_of(seed), held_out=HELD_OUT, seed=seed, **method
        )
        curves[type_].append(found.margins)
        curves["control"].append(found.control_margins)
        table.append(
            {
                "seed": seed,
                "before": before,
                type_: found.learnt,
                "control": found.control,
                f"margin, {type_}": found.margins[1][-1],
                "margin, control": found.control_margins[1][-1],
            }
        )
        print(table[-1])  # noqa: T201 - the figures
        found.judge(before, of_control=of_control)
    measure = "reward margin of held-out rows"
    keep(
        Proof(type_, f"{shows} All start from the same adder, which is right on {before:.0%}.", measure, table, curves)
    )
