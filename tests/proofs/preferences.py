"""Preferences among answers to sums, and what training on them makes of an adder, beside labels that are chance."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.proofs import adder
from tests.proofs.report import Curve, validated

DRAWN = 8  # answers drawn to each sum
Answers = list[tuple[str, str]]  # a sum, and a wrong answer to it
MakeRows = Callable[[Answers, random.Random | None], list[dict[str, Any]]]


@dataclass(frozen=True)
class Compared:
    """Shares of held-out sums that are right after training, and the reward margins of the validation rows."""

    learnt: float
    control: float
    margins: Curve
    control_margins: Curve


def compare(
    folder: Path,
    start: Path,
    make_rows: MakeRows,
    *,
    trained: list[str],
    held_out: list[str],
    seed: int,
    **method: dict[str, Any],
) -> Compared:
    """Train on the start's own wrong answers to sums, and again where which one is better is drawn at random."""
    answers = wrong_answers(start, trained, seed=seed)
    valid = make_rows(wrong_answers(start, held_out, seed=0), None)

    def run(name: str, swapped: random.Random | None) -> tuple[float, Curve]:
        run_dir = adder.train(folder / name, start, make_rows(answers, swapped), valid, seed=seed, **method)
        return adder.share_right(run_dir / "artifacts", held_out), validated(run_dir, "valid_reward_margin")

    (learnt, margins), (control, control_margins) = run("learnt", None), run("control", random.Random(seed))
    return Compared(learnt, control, margins, control_margins)


def wrong_answers(folder: Path, sums: list[str], *, seed: int) -> Answers:
    """One of the model's own of each sum, where it gives one."""
    drawn = adder.sampled(folder, sums, count=DRAWN, seed=seed)
    wrong = [[said for said in each if said != adder.answer(asked)] for asked, each in zip(sums, drawn, strict=True)]
    return [(asked, each[0]) for asked, each in zip(sums, wrong, strict=True) if each]


def pairs(answers: Answers, swapped: random.Random | None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for asked, wrong in answers:
        both = [adder.answer(asked), wrong]
        if swapped and swapped.random() < 0.5:
            both.reverse()
        rows.append({"prompt": asked, "chosen": both[0], "rejected": both[1]})
    return rows


def thumbs(answers: Answers, swapped: random.Random | None) -> list[dict[str, Any]]:
    """Every second answer is the right one; swapped: labels that have nothing to do with it."""
    return [
        {
            "prompt": asked,
            "completion": wrong if i % 2 else adder.answer(asked),
            "label": swapped.random() < 0.5 if swapped else not i % 2,
        }
        for i, (asked, wrong) in enumerate(answers)
    ]


def misread(sums: list[str], *, seed: int) -> Answers:
    draw = random.Random(seed)
    return [(asked, adder.misread(asked, draw)) for asked in sums]
