"""KTO on sums, beside labels that are chance.

It starts from an adder that is right on some sums only, and the wrong answers are its own: drawn from it, as pairs are
best made (docs/methods/dpo.md). Each seed has sums of its own; all are judged on the same ones, which no training saw.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.proofs import adder
from tests.proofs.preferences import COMMON, KTO_CONTROL, compare_seeds, thumbs
from tests.trainers.conftest import RENAMED

# A wrong answer has right digits, too, whose probability falls with it unless it weighs little.
KTO: dict[str, Any] = {
    **COMMON,
    "max_steps": 300,
    "hyperparameters": {"batch_size": 32, "beta": 1.0},
    "optimization": {"learning_rate": 1e-4},
    "desirable_weight": 1.0,
    "undesirable_weight": 0.2,
}

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(3600)]


def test_kto_makes_more_sums_right(tmp_path: Path, adders: adder.Adders) -> None:
    shows = (
        "Exact match on the held-out sums, and the reward margin between their right and their wrong answers. The "
        "control's labels are drawn at random; of its liked answers, which weigh more than the others, half are right, "
        "so that it may learn a little."
    )
    compare_seeds(tmp_path, adders.half_trained, thumbs, shows, of_control=KTO_CONTROL, kto=KTO)
