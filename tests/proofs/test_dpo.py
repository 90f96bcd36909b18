"""DPO on sums, beside labels that are chance.

It starts from an adder that is right on some sums only, and the wrong answers are its own: drawn from it, as pairs are
best made (docs/methods/dpo.md). Each seed has sums of its own; all are judged on the same ones, which no training saw.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.proofs import adder
from tests.proofs.preferences import COMMON, compare_seeds, pairs
from tests.trainers.conftest import RENAMED

DPO: dict[str, Any] = {
    **COMMON,
    "max_steps": 400,
    "hyperparameters": {"batch_size": 32, "beta": 2.0},
    "optimization": {"learning_rate": 2e-4},
}

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(3600)]


def test_dpo_makes_more_sums_right(tmp_path: Path, adders: adder.Adders) -> None:
    shows = (
        "Exact match on the held-out sums, and the mean reward margin of their pairs. The control's pairs are swapped "
        "at random."
    )
    compare_seeds(tmp_path, adders.half_trained, pairs, shows, dpo=DPO)
