"""Rollouts: evenly spread over the steps so far, whenever a run ends, and the same ones after a resume."""

import json
import shutil
from pathlib import Path

import pytest

from core.specs.rollouts import Rollout
from trainers.rollouts import Rollouts
from trainers.rundir import RunDir

KEPT, EACH = 50, 8


def rollouts(folder: Path, *, group: int = 1) -> Rollouts:
    run_dir = RunDir(folder)
    run_dir.working.mkdir(parents=True, exist_ok=True)
    return Rollouts(run_dir, kept=KEPT, group=group)


def play(found: Rollouts, steps: range, *, each: int = EACH) -> list[int]:
    """The numbers of the answers that are kept, after those steps."""
    for step in steps:
        before = (step - 1) * each

        def rollout(i: int, step: int = step, before: int = before) -> Rollout:
            what = {"row": 0, "prompt": [], "completion_tokens": 1, "truncated": False, "reward": 0, "advantage": 0}
            return Rollout.model_validate({"number": before + i, "step": step, "completion": f"{step}.{i}", **what})

        found.add(each, rollout, before=before)
    lines = [json.loads(line) for line in found.path.read_text().splitlines()]
    assert all(line["completion"] == f"{line['step']}.{line['number'] % each}" for line in lines)
    return [line["number"] for line in lines]


def test_whenever_a_run_ends_enough_answers_are_kept_evenly(tmp_path: Path) -> None:
    found, every = rollouts(tmp_path), 0
    for step in range(1, 301):
        numbers = play(found, range(step, step + 1))
        assert min(KEPT, step * EACH) <= len(numbers) <= 2 * KEPT
        every = numbers[1] - numbers[0]
        assert numbers == list(range(0, step * EACH, every))
    assert every == 32  # so that there are steps of which none is kept


@pytest.mark.parametrize("group", [2, 4, 8])
def test_answers_to_one_prompt_stay_together(tmp_path: Path, group: int) -> None:
    found = rollouts(tmp_path, group=group)
    for step in range(1, 301):
        numbers = play(found, range(step, step + 1))
        assert min(KEPT, step * EACH) <= len(numbers) <= 2 * KEPT + group
        groups = sorted({number // group for number in numbers})
        assert numbers == [one * group + i for one in groups for i in range(group)]
        assert groups == list(range(0, step * EACH // group, groups[1] if len(groups) > 1 else 1))


@pytest.mark.parametrize("at", [1, 12, 13, 25, 26, 100])
def test_a_resumed_run_keeps_the_same_ones(tmp_path: Path, at: int) -> None:
    undisturbed = play(rollouts(tmp_path / "undisturbed"), range(1, 121))
    before, after = rollouts(tmp_path / "before"), rollouts(tmp_path / "after")
    play(before, range(1, at + 1))
    shutil.copyfile(before.path, after.path)
    assert play(after, range(at + 1, 121)) == undisturbed


def test_a_step_of_more_answers_than_are_kept_is_thinned_out_by_itself(tmp_path: Path) -> None:
    found = rollouts(tmp_path)
    assert play(found, range(1, 2), each=1000) == list(range(0, 1000, 16))
    assert play(found, range(2, 4), each=1000) == list(range(0, 3000, 32))
