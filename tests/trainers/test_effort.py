"""What compute_multiplier and reasoning_effort do to a run: the same as the options that they stand for."""

from pathlib import Path
from typing import Any

import pytest

from tests.trainers.runs import adapter_digest, events, write_rows, write_spec
from tests.trainers.test_reinforcement import REINFORCEMENT, prompts, rollouts
from trainers.run import run


def train(folder: Path, tiny: Path, hyperparameters: dict[str, Any], **options: Any) -> Path:
    method = REINFORCEMENT | options | {"hyperparameters": {"batch_size": 2} | hyperparameters}
    training_file = write_rows(folder.with_suffix(".jsonl"), prompts(range(4)))
    write_spec(folder, base=tiny, training_file=training_file, reinforcement=method)
    assert run(folder) == 0
    return folder


@pytest.mark.parametrize(("multiplier", "answers"), [(0.5, 3), (1.5, 9), (0.01, 2)])
def test_compute_multiplier_is_a_factor_on_the_answers_to_each_prompt(
    tmp_path: Path, tiny: Path, multiplier: float, answers: int
) -> None:
    folder = train(tmp_path / "run", tiny, {"compute_multiplier": multiplier}, group_size=6, max_steps=2)
    same = train(tmp_path / "same", tiny, {}, group_size=answers, max_steps=2)
    for one in (folder, same):
        assert len(rollouts(one)) == 2 * 2 * answers
        said = f"{answers} answers to each prompt"
        assert [event for event in events(one, "message") if event["message"].startswith(said)]
    assert adapter_digest(folder) == adapter_digest(same)


def test_reasoning_effort_is_the_longest_answer_and_changes_no_prompt(tmp_path: Path, tiny: Path) -> None:
    given = {"group_size": 2, "max_steps": 1}
    folder = train(tmp_path / "run", tiny, {"reasoning_effort": "low"}, max_completion_tokens="auto", **given)
    same = train(tmp_path / "same", tiny, {}, max_completion_tokens=256, **given)
    assert rollouts(folder) == rollouts(same)
    assert {line["completion_tokens"] for line in rollouts(folder) if line["truncated"]} == {256}
    asked = [row["messages"] for row in prompts(range(4))]
    assert all(line["prompt"] == asked[line["row"]] for line in rollouts(folder))
    assert adapter_digest(folder) == adapter_digest(same)


def test_a_length_that_is_given_goes_before_reasoning_effort(tmp_path: Path, tiny: Path) -> None:
    folder = train(tmp_path / "run", tiny, {"reasoning_effort": "high"}, max_completion_tokens=5, max_steps=1)
    assert max(line["completion_tokens"] for line in rollouts(folder)) == 5
