"""Imported before the proofs are: transformers reads the environment once, and must not ask the hub for anything."""

from trainers import environment

environment.prepare()

import pytest  # noqa: E402

from tests.proofs import adder, report  # noqa: E402

# As two processes are handed them, a file ahead of what they are at, so that both end at about the same time.
ORDER = ("reward_models", "reasoning", "pretraining", "dpo", "adder", "reinforcement", "kto", "chain")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        name = item.path.stem.removeprefix("test_")
        return ORDER.index(name) if item.get_closest_marker("proof") else len(ORDER)

    items.sort(key=place)


@pytest.fixture(scope="session")
def adders(tmp_path_factory: pytest.TempPathFactory) -> adder.Adders:
    """What the proofs of preferences start from."""
    return adder.train_both(tmp_path_factory.mktemp("adders"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Several processes prove at the same time; the one that started them ends last.
    if session.config.option.markexpr == "proof" and not hasattr(session.config, "workerinput"):
        report.write_page()
