"""Estimates and previews of prompts, to which a method samples answers."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from core.db import session_scope
from tests.api.test_estimate import MODEL, codes, estimate, processed
from tests.cards import FACTS
from tests.conftest import ProjectKey
from tests.core.factories import make_model

CHECK = {
    "type": "string_check",
    "name": "right",
    "operation": "eq",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
}
# <|im_start|> user \n … <|im_end|> \n <|im_start|> assistant \n
AROUND = 1 + 5 + 2 + 1 + 10


def prompt(length: int) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "a" * length}], "answer": "4"}


def reinforcement(**options: Any) -> dict[str, Any]:
    return {"type": "reinforcement", "reinforcement": {"grader": CHECK, **options}}


def test_answers_are_counted_at_their_longest(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    file_id = processed(http, engine, [prompt(i) for i in range(1, 41)])
    method = reinforcement(group_size=4, max_completion_tokens=10, hyperparameters={"n_epochs": 2})
    answer = estimate(http, file_id, method=method)
    assert "answers_at_their_longest" in codes(answer)
    found = answer.json()
    assert found["max_completion_tokens"] == 10
    assert found["tokens"]["total"] == 4 * sum(AROUND + i + 10 for i in range(1, 41))
    assert found["tokens"]["trained"] == 4 * 40 * 10
    assert (found["rows"]["median_tokens"], found["rows"]["longest_tokens"]) == (AROUND + 21, AROUND + 40)
    assert (found["epochs"], found["steps"]) == (2, 2 * 5)


@pytest.mark.parametrize(
    ("hyperparameters", "answers", "tokens"),
    [
        ({}, 8, 512),
        ({"compute_multiplier": 2.5}, 20, 512),
        ({"compute_multiplier": 0.01, "reasoning_effort": "low"}, 2, 256),
        ({"reasoning_effort": "medium"}, 8, 1024),
        ({"reasoning_effort": "high"}, 8, 1024),  # half of the model's context
    ],
)
def test_more_effort_is_more_and_longer_answers(
    http: httpx.Client,
    engine: Engine,
    publish_card: Callable[..., None],
    hyperparameters: dict[str, Any],
    answers: int,
    tokens: int,
) -> None:
    publish_card()
    file_id = processed(http, engine, [prompt(10)] * 8)
    found = estimate(http, file_id, method=reinforcement(hyperparameters=hyperparameters)).json()
    assert found["max_completion_tokens"] == tokens
    assert found["tokens"]["trained"] == 8 * answers * tokens
    assert found["tokens"]["total"] == 8 * answers * (AROUND + 10 + tokens)


def test_without_a_method_that_samples_nothing_is_said_of_answers(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    found = estimate(http, processed(http, engine, [{"prompt": "a", "completion": "b"}] * 120))
    assert found.json()["max_completion_tokens"] is None
    assert "answers_at_their_longest" not in codes(found)


def test_reward_models_take_memory(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None], project: ProjectKey
) -> None:
    publish_card()
    with session_scope(engine) as session:
        method = {"type": "reward_model", "reward_model": {}}
        scorers = [make_model(session, project.owner, model=MODEL, method=method) for _ in range(2)]
    file_id = processed(http, engine, [prompt(10)] * 100)
    taken = [
        estimate(http, file_id, method={"type": "ppo", "ppo": {"reward_models": scorers[:count]}}).json()["memory"]
        for count in (1, 2)
    ]
    assert taken[0]["frozen_bytes"] == 2 * FACTS["parameters"] * 4
    assert taken[1]["frozen_bytes"] - taken[0]["frozen_bytes"] == FACTS["parameters"] * 4


@pytest.mark.parametrize(
    ("long_rows", "follows"), [("drop", "they are left out"), ("error", "the job would be refused")]
)
def test_prompts_have_what_the_longest_answer_leaves(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None], long_rows: str, follows: str
) -> None:
    publish_card()  # of a model with a context of 2,048
    file_id = processed(http, engine, [prompt(10)] * 100 + [prompt(200)] * 3)
    method = reinforcement(max_completion_tokens=1948, long_rows=long_rows)
    answer = estimate(http, file_id, method=method).json()
    (warning,) = (warning for warning in answer["warnings"] if warning["code"] == "rows_too_long")
    assert warning["message"] == (
        f"3 rows of the training_file have more than 100 tokens (line 101, 102, 103): {follows}"
    )
    assert (answer["max_length"], answer["rows"]["too_long"]) == (100, 3)


def test_a_preview_shows_a_prompt_up_to_where_the_answer_begins(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    for row in (prompt(2), {"problem": "aa", "answer": "4"}):
        file_id = processed(http, engine, [row])
        (shown,) = http.get(f"/v1/files/{file_id}/preview", params={"model": MODEL}).json()["data"]
        assert shown["text"] == "<|im_start|>user\naa<|im_end|>\n<|im_start|>assistant\n"
        assert (shown["trained_tokens"], shown["total_tokens"]) == (0, AROUND + 2)
        assert {token["state"] for token in shown["tokens"]} == {"masked"}
