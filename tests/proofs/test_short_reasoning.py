"""In the suite: the reasoning reward makes chains better and keeps their form; brevity alone does not, and it shows.

The long form, over several seeds and with figures that are kept, is that of test_reasoning.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.proofs import adder, reasoner
from tests.proofs.report import validated
from tests.proofs.test_reasoning import CHAINS, judged
from tests.trainers.conftest import RENAMED

STEPS = 60

pytestmark = [pytest.mark.filterwarnings(RENAMED), pytest.mark.timeout(900)]


def test_chains_keep_their_form_where_being_right_is_rewarded_too(tmp_path: Path) -> None:
    start = reasoner.train_half(tmp_path)
    held_out = reasoner.held_out()
    # Half of the riddles: there is nothing in them to learn but their length.
    rows = [row for i, row in enumerate(reasoner.trained(0, held_out)) if i % 2 == 0 or not reasoner.is_riddle(row)]

    def after(name: str, **given: Any) -> tuple[dict[str, float], Path]:
        options = CHAINS | {"max_steps": STEPS, "eval_interval": 10} | given
        run_dir = adder.train(tmp_path / name, start, rows, held_out[:60], seed=0, reinforcement=options)
        return judged(run_dir / "artifacts", held_out), run_dir

    before = judged(start, held_out)
    reasoning, run_dir = after("reasoning", grader=reasoner.REASONING, watch=reasoner.SHORT)
    collapsed, alone = after("alone", grader=reasoner.SHORT, watch=reasoner.REASONING)
    rewards = validated(run_dir, "valid_reward_mean")[1]
    watched = validated(alone, "valid_watch_score_mean")[1]
    print(before, reasoning, rewards, collapsed, watched)  # noqa: T201 - the figures
    assert reasoning["right"] >= before["right"]
    assert reasoning["form"] >= before["form"] - 0.02
    assert collapsed["right"] <= 0.1 * before["right"]
    assert collapsed["form"] <= 0.5 * before["form"]
    assert rewards[-1] > rewards[0]
    assert watched[-1] < 0.5 * watched[0]
