"""Rewards teach: sums become right that no training has seen, and where rewards are dealt out anew they do not.

The short form of tests/proofs/test_reinforcement.py.
"""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.proofs import adder
from tests.proofs.test_reinforcement import SUMS, dealt_anew, problem
from trainers import reinforcement

DIGITS, ROWS = 2, 3000
SHORTER = {"max_steps": 60, "eval_interval": 60}


@pytest.mark.timeout(300)
def test_more_held_out_sums_become_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start = adder.train_both(tmp_path / "adders", digits=DIGITS, rows=ROWS, steps=600).half_trained
    sums = adder.draw_sums(0, count=adder.HELD_OUT + ROWS, digits=DIGITS)
    held_out, trained = sums[: adder.HELD_OUT], sums[adder.HELD_OUT :]
    rows, few = list(map(problem, trained)), list(map(problem, held_out[:50]))

    def share_after(name: str) -> float:
        options: dict[str, Any] = SUMS | SHORTER
        run_dir = adder.train(tmp_path / name, start, rows, few, seed=1, reinforcement=options)
        return adder.share_right(run_dir / "artifacts", held_out)

    before, learnt = adder.share_right(start, held_out), share_after("learnt")
    monkeypatch.setattr(reinforcement, "reward", dealt_anew(random.Random(1)))
    control = share_after("control")
    print(before, learnt, control)  # noqa: T201 - the figures
    assert learnt >= before + 0.15
    assert control <= before + 0.05
