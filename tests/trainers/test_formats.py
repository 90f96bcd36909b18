"""A trainer reads every format, and learns the same from each."""

from pathlib import Path

import pytest

from tests.core.rows.files import FORMATS, write
from tests.trainers.runs import adapter_digest, error, pair, write_spec
from trainers.run import run

ROWS = [pair(f"say {i}", f'it is "{i}",\nyes') for i in range(6)]
QUICK = {"hyperparameters": {"n_epochs": 1, "batch_size": 6}}


@pytest.fixture(scope="module")
def from_jsonl(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    return train(tmp_path_factory.mktemp("jsonl"), tiny, "jsonl")


def train(folder: Path, tiny: Path, format: str) -> str:
    rows = write(folder, FORMATS[format](ROWS))
    run_dir = write_spec(folder / "run", base=tiny, training_file=rows, supervised=QUICK)
    assert run(run_dir) == 0
    return adapter_digest(run_dir)


@pytest.mark.parametrize("format", ["jsonl.gz", "parquet", "csv"])
def test_the_adapter_is_the_same_as_from_jsonl(format: str, from_jsonl: str, tiny: Path, tmp_path: Path) -> None:
    assert train(tmp_path, tiny, format) == from_jsonl


def test_a_file_in_no_format_ends_the_run_with_its_parameter(tiny: Path, tmp_path: Path) -> None:
    rows = write(tmp_path, b"PK\x03\x04")
    run_dir = write_spec(tmp_path / "run", base=tiny, training_file=rows, supervised=QUICK)
    assert run(run_dir) != 0
    assert error(run_dir)["param"] == "training_file"
