"""Rows of earlier training among new ones."""

from pathlib import Path
from typing import Any

from tests.trainers.runs import events, outcome, pair, write_rows, write_spec
from trainers.run import run

TASKS = ("up", "down")


def echoes(task: str, numbers: range) -> list[dict[str, str]]:
    """Two tasks of which a prompt's first word tells which it is: to answer with another word."""
    return [pair(f"{task} {number}", f"{task * 2}.") for number in numbers]


def test_the_seed_draws_so_many_rows_of_the_replay_file(tmp_path: Path, tiny: Path, few_rows: Path) -> None:
    replay = write_rows(tmp_path / "replay.jsonl", [pair(f"old {i}", "x" * i) for i in range(1, 41)])
    counts, warned = [], dict[str, list[str]]()
    for name, seed, fraction in (("a", 0, 0.25), ("b", 0, 0.25), ("c", 1, 0.25), ("most", 0, 0.9)):
        supervised = {"replay": {"file": "file-replay", "fraction": fraction}, "max_steps": 1, "samples": {"rows": 0}}
        files = {"training_file": few_rows, "replay_file": replay}
        folder = write_spec(tmp_path / name, base=tiny, supervised=supervised, seed=seed, **files)
        assert run(folder) == 0
        said = next(event["message"] for event in events(folder, "message") if "replay file" in event["message"])
        warned[name] = [event["message"] for event in events(folder, "message") if event["level"] == "warn"]
        counts.append((said, outcome(folder)["trained_tokens"]))
    assert [said for said, _ in counts[:3]] == ["8 of 40 rows of the replay file join 24 others"] * 3
    assert counts[3][0] == "40 of 40 rows of the replay file join 24 others"  # each at most once
    assert warned["a"] == warned["b"] == warned["c"] == []
    key = "method.supervised.replay.fraction"
    says = f"{key}: 0.9 takes 216 rows, but the replay file has 40; each is there once, and their share is 0.62"
    assert warned["most"] == [says]


def test_replay_keeps_what_was_learnt(tmp_path: Path, tiny: Path) -> None:
    """The control is the same training without replay, which forgets."""
    full = {"weights": "full", "optimization": {"learning_rate": 5e-3}, "samples": {"rows": 0}}
    numbers, held_out = range(64), range(64, 80)
    files = {task: write_rows(tmp_path / f"{task}.jsonl", echoes(task, numbers)) for task in TASKS}
    valid = write_rows(tmp_path / "valid.jsonl", echoes("up", held_out))

    def train(name: str, base: Path, task: str, **options: Any) -> Path:
        supervised = {**full, "max_steps": 30, **options}
        fields = {"validation_file": valid, **({"replay_file": files["up"]} if "replay" in options else {})}
        folder = write_spec(tmp_path / name, base=base, supervised=supervised, training_file=files[task], **fields)
        assert run(folder) == 0
        return folder

    first = train("first", tiny, "up")
    forgets = train("forgets", first / "artifacts", "down")
    replays = train("replays", first / "artifacts", "down", replay={"file": "file-up", "fraction": 0.3})
    learnt, forgot, kept = (
        outcome(folder)["metrics"]["valid_mean_token_accuracy"] for folder in (first, forgets, replays)
    )
    assert learnt > 0.95
    assert forgot < 0.7
    assert kept > 0.95
