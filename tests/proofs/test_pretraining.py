"""A character model on the King James Bible ends where a plain loop ends, and on shuffled characters it does not.

The model and the steps are those of nanoGPT's example for a processor (Karpathy, 2022): four layers, 128 wide, windows
of 64 characters, 12 a step, 2,000 steps.
"""

import random
from pathlib import Path

import pytest

from tests.proofs.corpora import king_james
from tests.proofs.report import Curves, Proof, keep, validated
from tests.trainers import plain
from tests.trainers.conftest import RENAMED
from tests.trainers.test_plain_loop import initialize, options, pretrain

SIZES = {"hidden_size": 128, "layers": 4, "heads": 4, "intermediate_size": 384, "context": 64}
STEPS, EVERY, RATE = 2000, 200, 1e-3
SEEDS = (0, 1)


@pytest.mark.proof
@pytest.mark.filterwarnings(RENAMED)
@pytest.mark.timeout(5400)
def test_it_ends_where_a_plain_loop_ends(tmp_path: Path) -> None:
    text = king_james()
    cut = int(0.9 * len(text))
    training, validation = text[:cut], text[cut : cut + 50_000]
    wanted = options(STEPS) | {"eval_interval": EVERY, "optimization": {"learning_rate": RATE, "schedule": "cosine"}}
    table: list[dict[str, object]] = []
    curves: Curves = {"ours": [], "shuffled": []}
    for seed in SEEDS:
        base = initialize(tmp_path / f"model-{seed}", text, sizes=SIZES, seed=seed)
        characters = list(training)
        random.Random(seed).shuffle(characters)
        found = {}
        for name, corpus in (("ours", training), ("shuffled", "".join(characters))):
            folder = pretrain(tmp_path / f"{name}-{seed}", base, corpus, validation, seed=seed, **wanted)
            curves[name].append(validated(folder, "valid_loss"))
            found[name] = curves[name][-1][1][-1]
        theirs = plain.loop(base, training, validation, length=64, batch=12, steps=STEPS, rate=RATE, seed=seed)
        table.append({"seed": seed, "ours": found["ours"], "a plain loop": theirs, "shuffled": found["shuffled"]})
        print(table[-1])  # noqa: T201 - the figures
        assert found["ours"] == pytest.approx(theirs, abs=0.05)
        assert found["shuffled"] > found["ours"] + 0.5
    keep(
        Proof(
            "pretraining",
            "Validation loss, nats a character, after 2,000 steps of a model of four layers, 128 wide, on a million "
            "characters of the King James Bible: ours and a plain PyTorch loop's are within 0.05 of each other, the "
            "control's, on shuffled characters, is far off.",
            "validation loss",
            table,
            curves,
        )
    )
