"""The reward of chains of thought."""

from typing import Any

import pytest

from core.specs.asking import Reply
from graders.outcome import Outcome
from graders.reasoning import form_checks
from graders.sample import Sample
from graders.score import Scorer
from tests.graders.grading import grader, outcome

CHAIN = "1. Formula: distance = speed × time\n2. 60 × 2.5 = 150\n3. Verification: 120 + 30 = 150 ✓"
GOOD = f"<think>\n{CHAIN}\n</think>\n\nThe train travels 150 miles."


def graded(text: str, **options: Any) -> Outcome:
    return outcome(grader("reasoning", reference="{{ item.answer }}", **options), text, answer="150")


def test_the_rewards_of_the_three_parts() -> None:
    found = graded(GOOD)
    assert found.errors.details == []
    brevity = 1 / (1 + len(GOOD) / 1000)
    assert found.sub_rewards == {"correctness": 1, "quality": 1, "brevity": pytest.approx(brevity)}
    assert found.reward == pytest.approx(1.0 + 0.5 + 0.2 * brevity)


def test_every_weight_is_settable() -> None:
    weights = {"correctness": 2, "quality": 3, "brevity": 4}
    assert graded(GOOD, weights=weights, brevity_half_length=len(GOOD)).reward == pytest.approx(2 + 3 + 4 * 0.5)
    assert graded(GOOD, brevity_half_length=1).sub_rewards["brevity"] == pytest.approx(1 / (len(GOOD) + 1))


def test_brevity_is_paid_only_when_the_answer_is_right() -> None:
    wrong = GOOD.replace("150", "151")
    found = graded(wrong)
    assert found.sub_rewards == {"correctness": 0, "quality": 1, "brevity": 0}
    assert graded("").reward == 0
    short, long = graded("150"), graded("It took a while to see, but it is 150")
    assert short.sub_rewards["correctness"] == long.sub_rewards["correctness"] == 1
    assert short.reward > long.reward


def test_only_what_stands_behind_the_chain_is_the_answer() -> None:
    assert graded("<think>It is 150.</think>\nI do not know.").sub_rewards["correctness"] == 0
    assert graded("<think>It is 150.").sub_rewards["correctness"] == 0


def test_answers_may_be_compared_as_text() -> None:
    for answer, right in (("<think>a</think> paris. ", 1), ("<think>a</think> In Paris", 0)):
        found = outcome(grader("reasoning", reference="Paris", check="text"), answer)
        assert found.sub_rewards["correctness"] == right


@pytest.mark.parametrize(
    ("text", "failing"),
    [
        (GOOD, set[str]()),
        (
            GOOD.replace("<think>", "So: <think>"),
            {"one_think_block", "answer_after_it", "no_repetition", "answer_follows"},
        ),
        (GOOD + GOOD, {"one_think_block", "answer_after_it", "no_repetition", "answer_follows"}),
        ("150", {"one_think_block", "answer_after_it", "no_repetition", "answer_follows"}),
        (f"<think>{CHAIN}</think>", {"answer_after_it", "answer_follows"}),
        ("<think></think>150", {"one_think_block", "answer_after_it", "no_repetition", "answer_follows"}),
        (GOOD.replace("miles", "miles, not 12"), {"answer_follows"}),
        (GOOD.replace("The train travels 150 miles", "It is $\\boxed{150}$, not 12"), set[str]()),
        (GOOD.replace("travels 150 miles", "travels 1,50 miles"), set[str]()),
        ("<think>\nBerlin is larger\nSo it must be Paris\n</think>It is Paris.", set[str]()),
        ("<think>\nSo it must be Paris\nBerlin is larger\n</think>It is Paris.", {"answer_follows"}),
        ("<think>" + "wait, let me see once more\n" * 3 + "150</think>150", {"no_repetition"}),
        (f"<think>{'and then we add one to it ' * 8}\n150</think>150", {"no_repetition"}),
    ],
)
def test_quality_by_form(text: str, failing: set[str]) -> None:
    checks = form_checks(text)
    assert {name for name, holds in checks.items() if not holds} == failing
    found = graded(text)
    assert found.sub_rewards["quality"] == (4 - len(failing)) / 4
    assert found.scores == {name: float(holds) for name, holds in checks.items()}


@pytest.mark.parametrize("low", [1, -5])
def test_quality_by_a_model_is_scaled_to_its_range(low: int) -> None:
    """Where it says nothing, quality is 0, also where the range's 0 is not its lowest."""
    quality = {
        "type": "score_model",
        "name": "q",
        "model": "judge",
        "input": [{"role": "user", "content": "How good? {{ sample.output_text }}"}],
        "range": [low, 5],
    }
    judged = grader("reasoning", reference="150", quality=quality)
    replies = [Reply(text="4", model="judge", prompt_tokens=10, completion_tokens=2), Reply(problem="away")]
    with Scorer(lambda questions: replies[: len(questions)]) as scorer:
        found = scorer.score(judged, [Sample(output_text=GOOD), Sample(output_text=GOOD)])
    assert [one.sub_rewards["quality"] for one in found] == [(4 - low) / (5 - low), 0]
    assert found[0].scores == {"quality_score": 4}
    assert found[0].usage["judge"].total_tokens == 12
    assert (found[1].errors.model_grader_server_error, found[1].errors.details) == (True, ["quality.model: away"])


def test_a_reference_that_is_missing_is_told() -> None:
    found = outcome(grader("reasoning", reference="{{ item.nix }}"), GOOD, answer="150")
    assert found.errors.invalid_variable_error
    assert found.errors.details[0].startswith("correctness.reference: {{ item.nix }}")
