"""Addition, learnt from nothing by full-weights training, on sums that training never saw.

The control is the same training on the same answers, dealt to the wrong sums: what it learns can't be addition, and an
evaluation that lets it pass would measure nothing.
"""

import random
from pathlib import Path

import pytest

from tests.proofs import adder
from tests.proofs.report import Curves, Proof, keep, validated
from tests.trainers.conftest import RENAMED

SEEDS = (0, 1, 2)


@pytest.mark.proof
@pytest.mark.filterwarnings(RENAMED)
@pytest.mark.timeout(3600)
def test_it_adds_and_with_shuffled_answers_it_does_not(tmp_path: Path) -> None:
    base = adder.initialize(tmp_path / "base")
    table: list[dict[str, object]] = []
    curves: Curves = {"right answers": [], "shuffled answers": []}
    for seed in SEEDS:
        sums = adder.draw_sums(seed, count=adder.HELD_OUT + adder.ROWS)
        valid = [adder.pair(asked, adder.answer(asked)) for asked in sums[: adder.HELD_OUT]]
        trained = sums[adder.HELD_OUT :]
        right = list(map(adder.answer, trained))
        found = {}
        for name, answers in zip(curves, (right, random.Random(seed).sample(right, len(right))), strict=True):
            rows = list(map(adder.pair, trained, answers))
            folder = tmp_path / f"{name}-{seed}"
            run_dir = adder.train(folder, base, rows, valid, seed=seed, supervised=adder.SUPERVISED)
            curves[name].append(validated(run_dir, "valid_loss"))
            found[name] = adder.exact_match(run_dir)
        table.append({"seed": seed, **found})
        print(table[-1])  # noqa: T201 - the figures
        assert found["right answers"] >= 0.99
        assert found["shuffled answers"] <= 0.01  # a guess of the likeliest answer is right once in a thousand
    keep(
        Proof(
            "supervised",
            "Exact match on 500 held-out sums of two three-digit numbers, after 3,000 steps from random weights (a "
            "Llama of half a million). The control is trained on the same answers, dealt to the wrong sums.",
            "validation loss",
            table,
            curves,
        )
    )
