"""Imported before the proofs are: transformers reads the environment once, and must not ask the hub for anything."""

from trainers import environment

environment.prepare()

import pytest  # noqa: E402

from tests.proofs import adder, report  # noqa: E402


@pytest.fixture(scope="session")
def adders(tmp_path_factory: pytest.TempPathFactory) -> adder.Adders:
    """What the proofs of preferences start from."""
    return adder.train_both(tmp_path_factory.mktemp("adders"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Several processes prove at the same time; the one that started them ends last.
    if session.config.option.markexpr == "proof" and not hasattr(session.config, "workerinput"):
        report.write_page()
