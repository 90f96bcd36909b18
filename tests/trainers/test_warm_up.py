"""A warm-up that the run is too short for."""

from pathlib import Path

from tests.trainers.runs import events, write_spec
from trainers.run import run


def test_a_warm_up_longer_than_the_run_is_warned_of(tmp_path: Path, tiny: Path, few_rows: Path) -> None:
    """Where the steps are known by the rows only; where `max_steps` tells them, the service refuses it."""
    warnings = []
    for warmup in (1, 2):
        supervised = {"hyperparameters": {"n_epochs": 1, "batch_size": 24}, "optimization": {"warmup": warmup}}
        folder = write_spec(tmp_path / str(warmup), base=tiny, supervised=supervised, training_file=few_rows)
        assert run(folder) == 0
        warnings.append([event["message"] for event in events(folder, "message") if event["level"] == "warn"])
    key = "method.supervised.optimization.warmup"
    says = f"{key}: 2 steps were asked for, but the run has 1: the learning rate never gets to its highest"
    assert warnings == [[], [says]]
