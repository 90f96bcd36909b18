"""Imported before the proofs are: transformers reads the environment once, and must not ask the hub for anything."""

from trainers import environment

environment.prepare()

import pytest  # noqa: E402

from tests.proofs import adder, report  # noqa: E402

# As two processes are handed them, one ahead of what they are at, so that both end at about the same time.
ORDER = (
    "test_a_reward_model_tells_right_from_wrong",
    "test_ppo_makes_more_sums_right",
    "test_the_reasoning_reward_keeps_chains_and_brevity_alone_does_not",
    "test_rewards_for_right_sums_make_more_of_them_right",
    "test_it_ends_where_a_plain_loop_ends",
    "test_it_adds_and_with_shuffled_answers_it_does_not",
    "test_dpo_makes_more_sums_right",
    "test_kto_makes_more_sums_right",
    "test_each_stage_goes_on_from_an_earlier_one",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.name) if item.get_closest_marker("proof") else len(ORDER))


@pytest.fixture(scope="session")
def adders(tmp_path_factory: pytest.TempPathFactory) -> adder.Adders:
    """What the proofs of preferences start from."""
    return adder.train_both(tmp_path_factory.mktemp("adders"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    # Several processes prove at the same time; the one that started them ends last.
    if session.config.option.markexpr == "proof" and not hasattr(session.config, "workerinput"):
        report.write_page()
