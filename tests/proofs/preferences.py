"""Preferences among answers to sums, and what training on them makes of an adder, beside labels that are chance."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.proofs import adder
from tests.proofs.report import Curve, Curves, Proof, keep, validated

SEEDS = (0, 1, 2)
ROWS = 4000  # sums of preferences
COMMON: dict[str, Any] = {
    "weights": "full",
    "eval_interval": 50,
    "checkpoint_interval": 1000,
    "samples": adder.NO_SAMPLES,
}
HELD_OUT = adder.draw_sums(0, count=adder.HELD_OUT)
DRAWN = 8  # answers drawn to each sum
Answers = list[tuple[str, str]]  # a sum, and a wrong answer to it
# The share of what is learnt that KTO's control may learn, too: half of its liked answers are right, and they weigh
# more than the others.
KTO_CONTROL = 0.5
CHANCE = 0.02  # ten of 500 sums
MakeRows = Callable[[Answers, random.Random | None], list[dict[str, Any]]]


@dataclass(frozen=True)
class Compared:
    """Shares of held-out sums that are right after training, and the reward margins of the validation rows."""

    learnt: float
    control: float
    margins: Curve
    control_margins: Curve

    def judge(self, before: float, *, of_control: float = 0.0) -> None:
        """Raises AssertionError where too little was learnt from `before`, or too much (a share of that) by chance."""
        assert self.learnt >= before + 0.05
        assert self.control - before <= of_control * (self.learnt - before) + CHANCE
        assert self.margins[1][-1] > max(0, self.control_margins[1][-1])


def sums_of(seed: int, *, count: int = ROWS) -> list[str]:
    """That a seed trains on."""
    drawn = adder.draw_sums(seed, count=adder.HELD_OUT + adder.ROWS + count)[-count:]
    return [asked for asked in drawn if asked not in HELD_OUT]


def compare_seeds(
    tmp_path: Path,
    start: Path,
    make_rows: MakeRows,
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
        found = compare(
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
    wrong = [
        [said for said in each if said.strip() and said != adder.answer(asked)]
        for asked, each in zip(sums, drawn, strict=True)
    ]
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
