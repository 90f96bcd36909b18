"""In the suite: DPO, KTO and rewards make an adder of two-digit sums better; what is chance instead does not.

The long forms, over several seeds and with figures that are kept, are in test_dpo, test_kto and test_reinforcement.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.proofs import adder, preferences
from tests.proofs.test_reinforcement import SUMS, dealt_anew, problem
from tests.trainers.conftest import RENAMED
from trainers import reinforcement

SEED = 0
COMMON: dict[str, Any] = {
    "weights": "full",
    "max_steps": 120,
    "eval_interval": 120,
    "checkpoint_interval": 1000,
    "samples": adder.NO_SAMPLES,
}
DPO: dict[str, Any] = {
    **COMMON,
    "hyperparameters": {"batch_size": 32, "beta": 2.0},
    "optimization": {"learning_rate": 2e-4},
}
KTO: dict[str, Any] = {
    **COMMON,
    "hyperparameters": {"batch_size": 32, "beta": 1.0},
    "optimization": {"learning_rate": 1e-4},
    "desirable_weight": 1.0,
    "undesirable_weight": 0.2,
}
DRAWN = adder.draw_sums(SEED, count=6500, digits=2)
HELD_OUT, ASKED = DRAWN[: adder.HELD_OUT], DRAWN[4500:]

pytestmark = [pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return adder.train_both(tmp_path_factory.mktemp("adders"), digits=2, rows=4000, steps=900).half_trained


@pytest.mark.parametrize(
    ("make_rows", "of_control", "method"),
    [(preferences.pairs, 0.0, {"dpo": DPO}), (preferences.thumbs, preferences.KTO_CONTROL, {"kto": KTO})],
    ids=["dpo", "kto"],
)
def test_more_sums_come_right(
    tmp_path: Path, half_trained: Path, make_rows: preferences.MakeRows, of_control: float, method: dict[str, Any]
) -> None:
    before = adder.share_right(half_trained, HELD_OUT)
    found = preferences.compare(
        tmp_path, half_trained, make_rows, trained=ASKED, held_out=HELD_OUT, seed=SEED, **method
    )
    found.judge(before, of_control=of_control)


def test_more_sums_come_right_where_right_ones_are_rewarded(
    tmp_path: Path, half_trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, few = list(map(problem, ASKED)), list(map(problem, HELD_OUT[:50]))
    options: dict[str, Any] = SUMS | {"max_steps": 120, "eval_interval": 120}

    def share_after(name: str) -> float:
        run_dir = adder.train(tmp_path / name, half_trained, rows, few, seed=SEED, reinforcement=options)
        return adder.share_right(run_dir / "artifacts", HELD_OUT)

    before, learnt = adder.share_right(half_trained, HELD_OUT), share_after("learnt")
    monkeypatch.setattr(reinforcement, "reward", dealt_anew(random.Random(SEED)))
    assert learnt >= before + 0.1
    assert share_after("control") <= before
