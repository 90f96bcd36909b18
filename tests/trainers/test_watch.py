"""A grader that is only watched, and one that some answers break: what ends a job, and what does not."""

from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from tests.trainers.runs import adapter_digest, error, events, write_rows, write_spec
from tests.trainers.test_reinforcement import LETTERS, REINFORCEMENT, prompts, rollouts
from trainers.run import run

STEPS = 3
# Knows of each row how many letters it wants, and breaks where the row does not say so.
WATCH = {"type": "python", "name": "w", "source": "def grade(sample, item):\n    return item['wanted'] / 2\n"}


def train(folder: Path, tiny: Path, rows: list[dict[str, Any]], *, status: int = 0, **options: Any) -> Path:
    method = REINFORCEMENT | {"max_steps": STEPS, "hyperparameters": {"batch_size": 4}} | options
    training_file = write_rows(folder.with_suffix(".jsonl"), rows)
    write_spec(folder, base=tiny, training_file=training_file, reinforcement=method)
    assert run(folder) == status
    return folder


def warnings(folder: Path) -> list[str]:
    return [event["message"] for event in events(folder, "message") if event["level"] == "warn"]


@pytest.mark.parametrize("broken", [range(4), range(12)], ids=["at some answers", "always"])
def test_where_the_watched_grader_fails_its_figure_is_missing_and_a_warning_says_so_once(
    tmp_path: Path, tiny: Path, broken: range
) -> None:
    rows = [row | ({} if i in broken else {"wanted": i}) for i, row in enumerate(prompts(range(12)))]
    alone = train(tmp_path / "alone", tiny, rows)
    watched = train(tmp_path / "watched", tiny, rows, watch=WATCH, max_failed_gradings=0)
    assert adapter_digest(watched) == adapter_digest(alone)
    (said,) = warnings(watched)
    assert said.startswith("method.reinforcement.watch: ")
    assert "wanted" in said
    assert warnings(alone) == []
    kept, steps = rollouts(watched), [event["data"] for event in events(watched, "metrics")]
    assert {"watch" in line["rewards"] for line in kept} == ({False} if len(broken) == 12 else {False, True})
    for step, data in enumerate(steps, 1):
        found = [line["rewards"]["watch"] for line in kept if line["step"] == step and "watch" in line["rewards"]]
        figures = {"train_watch_score_mean": fmean(found)} if found else {}
        assert {name: data[name] for name in data if "watch" in name} == pytest.approx(figures)
        assert data["train_failed_gradings"] == 0
    for line in kept:
        assert ("watch" in line["rewards"]) == (line["row"] not in broken)
        assert line["rewards"].get("watch", line["row"] / 2) == line["row"] / 2
        assert line["error"] is None


@pytest.mark.parametrize(("share", "status"), [(0.25, 0), (0.24, 1)])
def test_a_step_with_just_as_many_failures_as_may_be_goes_on(
    tmp_path: Path, tiny: Path, share: float, status: int
) -> None:
    """Of four prompts, which are a step, one lacks what the grader needs."""
    rows = [{key: row[key] for key in row if key != "of" or i} for i, row in enumerate(prompts(range(4)))]
    folder = train(tmp_path / "run", tiny, rows, status=status, grader=LETTERS, max_failed_gradings=share)
    if status == 0:
        assert [event["data"]["train_failed_gradings"] for event in events(folder, "metrics")] == [6] * STEPS
        return
    said = error(folder)
    assert (said["code"], said["param"]) == ("grader_failed", "method.reinforcement.grader")
    assert "6 of 24 answers of a step could not be graded, more than max_failed_gradings allows" in said["message"]
