"""Imported before the proofs are: transformers reads the environment once, and must not ask the hub for anything."""

from trainers import environment

environment.prepare()

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

from tests.proofs import adder  # noqa: E402


@pytest.fixture(scope="session")
def half_trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the proofs of preferences start from."""
    return adder.half_trained(tmp_path_factory.mktemp("half-trained"))
