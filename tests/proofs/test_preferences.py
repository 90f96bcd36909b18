"""DPO and KTO on sums, beside labels that are chance.

Both start from an adder that is right on some sums only, and the wrong answers are its own: drawn from it, as pairs are
best made (docs/methods/dpo.md). Each seed has sums of its own; all are judged on the same ones, which no training saw.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.proofs import adder, preferences
from tests.proofs.preferences import pairs, thumbs
from tests.proofs.report import Curves, Proof, keep
from tests.trainers.conftest import RENAMED

SEEDS = (0, 1, 2)
ROWS = 4000  # sums of preferences
COMMON: dict[str, Any] = {
    "weights": "full",
    "eval_interval": 50,
    "checkpoint_interval": 1000,
    "samples": adder.NO_SAMPLES,
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
