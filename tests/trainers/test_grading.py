"""What an answer is worth in training where a grader fails at it."""

from typing import Any

import pytest

from core.asking import TRIES, Servers
from core.settings import Settings
from core.specs.asking import Ask
from core.specs.graders import MultiGrader, PythonGrader, ScoreModel, TextSimilarity
from core.specs.run import RunError
from embedded.ports import free_ports
from graders.sample import Sample
from graders.score import Scorer
from graders.text import MOST_COMPARED
from tests.graders.grading import nobody
from tests.model_server import model_server
from trainers.asking import Supervisor
from trainers.errors import GraderAway, SpecError
from trainers.grading import error_of, graded
from trainers.run import explain

RIGHT = {"type": "string_check", "name": "right", "operation": "eq", "input": "{{ sample.output_text }}"}
PENALTY = {
    "type": "python",
    "name": "penalty",
    "source": "def grade(sample, item):\n    return 1 / len(sample['output_text'].strip('!'))\n",
}


def test_an_answer_that_breaks_the_penalty_gains_nothing_by_it() -> None:
    grader = MultiGrader.model_validate(
        {
            "type": "multi",
            "name": "both",
            "graders": {"right": RIGHT | {"reference": "{{ item.answer }}"}, "penalty": PENALTY},
            "calculate_output": "right - penalty / 10",
        }
    )
    samples = [Sample(output_text=text, item={"answer": text}) for text in ("good", "!")]
    with Scorer(nobody) as scorer:
        fine, broken = graded(scorer, grader, samples, most_failed=0.5, param="method.reinforcement.grader")
    assert fine.reward == 1 - 1 / 40
    assert error_of(broken) is not None
    assert (broken.reward, set(broken.sub_rewards.values())) == (0, {0})


def test_no_part_of_an_answer_that_breaks_a_grader_is_better_than_the_worst() -> None:
    """Where parts are normalised by themselves, each is learnt from; of a penalty the highest is the worst."""
    bonus = PENALTY | {"name": "bonus", "source": "def grade(sample, item):\n    return item['bonus']\n"}
    grader = MultiGrader.model_validate(
        {
            "type": "multi",
            "name": "both",
            "graders": {"bonus": bonus, "penalty": PENALTY},
            "calculate_output": "bonus - penalty",
        }
    )
    samples = [Sample(output_text=text, item={"bonus": bonus}) for text, bonus in (("good", -1), ("ok", 2), ("!", 3))]
    with Scorer(nobody) as scorer:
        *fine, broken = graded(scorer, grader, samples, most_failed=0.5, param="method.p", costs=["penalty"])
    assert [one.sub_rewards for one in fine] == [{"bonus": -1, "penalty": 0.25}, {"bonus": 2, "penalty": 0.5}]
    assert broken.sub_rewards == {"bonus": -1, "penalty": 0.5}


def test_an_answer_of_which_only_a_part_was_compared_is_graded() -> None:
    text = "a" * (MOST_COMPARED + 1)
    alike = {"type": "text_similarity", "name": "alike", "evaluation_metric": "fuzzy_match", "input": text}
    grader = TextSimilarity.model_validate(alike | {"reference": text})
    with Scorer(nobody) as scorer:
        (found,) = graded(scorer, grader, [Sample(output_text=text)], most_failed=0, param="method.ppo.grader")
    assert (found.reward, error_of(found), found.errors.truncated_observation_error) == (1, None, True)


@pytest.mark.parametrize(("failing", "of", "share"), [(0, 4, 0), (29, 100, 0.29), (7, 100, 0.07), (1, 3, 1 / 3)])
def test_as_many_failures_as_may_be_go_and_one_more_does_not(failing: int, of: int, share: float) -> None:
    grader = PythonGrader.model_validate(PENALTY)

    def grade(failing: int) -> list[float]:
        samples = [Sample(output_text="!" if i < failing else "good") for i in range(of)]
        with Scorer(nobody) as scorer:
            found = graded(scorer, grader, samples, most_failed=share, param="method.ppo.grader")
        return [outcome.reward for outcome in found]

    assert grade(failing) == [0] * failing + [0.25] * (of - failing)
    with pytest.raises(SpecError, match=f"^method.ppo.grader: {failing + 1} of {of} answers of a step"):
        grade(failing + 1)


@pytest.mark.parametrize(("worst", "rewards"), [(min, [-4, -4]), (max, [-4, 0])])
def test_an_answer_that_breaks_the_grader_is_worth_no_more_than_the_worst(worst: Any, rewards: list[float]) -> None:
    """Of costs, whose weight is negative, the highest is the worst."""
    source = "def grade(sample, item):\n    return -1 / (len(sample['output_text']) - 1) * 4\n"
    grader = PythonGrader.model_validate(PENALTY | {"source": source})
    samples = [Sample(output_text=text) for text in ("ab", "b")]
    with Scorer(nobody) as scorer:
        found = graded(scorer, grader, samples, most_failed=0.5, param="method.ppo.grader", worst=worst)
    assert [outcome.reward for outcome in found] == rewards


def refusal(ask: Ask) -> RunError:
    """What the job's owner is told where a judge grades neither of two answers."""
    judge = {"type": "score_model", "name": "judge", "model": "m", "input": [{"role": "user", "content": "?"}]}
    grader = MultiGrader.model_validate(
        {"type": "multi", "name": "both", "graders": {"judge": judge}, "calculate_output": "judge / 2"}
    )
    with Scorer(ask) as scorer, pytest.raises((SpecError, GraderAway), match="2 of 2 answers") as told:
        graded(scorer, grader, [Sample(output_text="a")] * 2, most_failed=0.5, param="method.ppo.grader")
    said = explain(told.value)
    assert (said.code, said.param) == ("grader_failed", "method.ppo.grader")
    return said


def test_a_supervisor_that_is_away_ends_an_attempt_and_not_the_job() -> None:
    assert refusal(Supervisor("/nowhere")).retryable


@pytest.mark.parametrize(
    ("status", "retryable"), [(400, False), (401, False), (404, False), (429, True), (500, True), (503, True)]
)
def test_a_server_that_refuses_ends_the_job_and_one_that_is_away_the_attempt(status: int, retryable: bool) -> None:
    with model_server() as server, Servers(Settings(grader_model_url=server.url)) as ask:
        server.statuses, server.retry_after = [status] * 2 * TRIES, 0
        said = refusal(ask)
    assert said.retryable == retryable
    assert f"the server answered {status}" in said.message


def test_a_server_that_nobody_runs_ends_the_attempt() -> None:
    [port] = free_ports(1)
    with Servers(Settings(grader_model_url=f"http://127.0.0.1:{port}/v1")) as ask:
        assert refusal(ask).retryable


@pytest.mark.parametrize(
    ("without", "kind", "told"),
    [
        (1, GraderAway, "4 of 4 answers of a step could not be graded.*the supervisor"),
        (2, GraderAway, "4 of 4 answers of a step could not be graded.*the supervisor"),
        (3, SpecError, "3 of 4 answers of a step could not be graded.*item.answer"),
    ],
)
def test_a_server_that_is_away_ends_the_job_only_beside_enough_that_fail_without_it(
    without: int, kind: type[Exception], told: str
) -> None:
    asked = [{"role": "user", "content": "{{ item.answer }}"}]
    judge = ScoreModel.model_validate({"type": "score_model", "name": "judge", "model": "m", "input": asked})
    samples = [Sample(output_text="a", item={"answer": "b"} if i >= without else {}) for i in range(4)]
    with Scorer(Supervisor("/nowhere")) as scorer, pytest.raises(kind, match=told):
        graded(scorer, judge, samples, most_failed=0.5, param="method.ppo.grader")
