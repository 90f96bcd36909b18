"""What a round does, as its seed draws it."""

import random

from tests.chaos.faults import FIRST, KILLED, KILLS, OTHERS
from tests.chaos.rounds import drawn


def test_every_round_kills_each_method_and_rounds_together_kill_each_in_every_way() -> None:
    rounds = [drawn(random.Random(seed), KILLED) for seed in range(1, 101)]
    for one in rounds:
        assert len(one) == len(KILLED)
        assert {variant.split()[0] for variant in one} == {FIRST, *OTHERS}
        assert {f"{FIRST} {kill}" for kill in KILLS} <= set(one)
    ways = {f"{method} {kill}" for method in (FIRST, *OTHERS) for kill in KILLS}
    assert {variant for one in rounds for variant in one} == ways
