"""score_model, label_model and cosine, over HTTP to a server that an operator might have."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from core import asking
from core.asking import Servers
from core.settings import Settings
from graders.outcome import Outcome
from graders.sample import Sample
from graders.score import Scorer
from tests.graders.grading import grader
from tests.model_server import ModelServer, model_server

PROMPT = [
    {"role": "developer", "content": "Judge."},
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "{{ item.q }}"},
            {"type": "input_text", "text": "{{ sample.output_text }}"},
        ],
    },
]
SCORE: dict[str, Any] = {"type": "score_model", "model": "judge", "input": PROMPT}
LABEL: dict[str, Any] = {"name": "l", "type": "label_model", "model": "judge", "input": PROMPT}


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


def settings(server: ModelServer) -> Settings:
    return Settings(
        grader_model_url=f"{server.url}/",
        grader_model_key=SecretStr("sk-of-the-operator"),
        grader_embeddings_url=server.url,
        grader_embeddings_key=SecretStr("sk-for-embeddings"),
        grader_embeddings_model="embedder",
    )


def scored(server: ModelServer, graded: Any, texts: Sequence[str] = "x") -> list[Outcome]:
    with Servers(settings(server)) as ask, Scorer(ask) as scorer:
        return scorer.score(graded, [Sample(output_text=text, item={"q": "why?"}) for text in texts])


def says(server: ModelServer, content: str | None, **message: Any) -> None:
    server.say = lambda _: {"content": content, **message}


def test_what_is_asked(server: ModelServer) -> None:
    params = {"seed": 1, "top_p": 0.5, "temperature": 0, "max_completions_tokens": 9, "reasoning_effort": "low"}
    (found,) = scored(server, grader(**SCORE, sampling_params=params))
    assert (found.reward, found.errors.details) == (1, [])
    ((path, key, body),) = server.received
    assert (path, key) == ("/v1/chat/completions", "Bearer sk-of-the-operator")
    assert body["model"] == "judge"
    assert body["messages"] == [{"role": "developer", "content": "Judge."}, {"role": "user", "content": "why?\nx"}]
    assert body["response_format"]["json_schema"]["schema"]["properties"]["score"]["type"] == "number"
    sampled = {"seed": 1, "top_p": 0.5, "temperature": 0, "max_completion_tokens": 9, "reasoning_effort": "low"}
    assert {name: body[name] for name in sampled} == sampled
    assert found.usage["judge-2026"].total_tokens == 15


@pytest.mark.parametrize(
    ("content", "score"),
    [
        ('{"reasons": "fine", "score": 0.25}', 0.25),
        ('{"steps": [], "result": 0.25}', 0.25),
        ('```json\n{"score": 0.25}\n```', 0.25),
        ("0.25", 0.25),
        (" I give it .25 ", 0.25),
        ('{"score": 7}', 1),
        ("-3", 0),
    ],
)
def test_scores_are_read_and_clamped_to_the_range(server: ModelServer, content: str, score: float) -> None:
    says(server, content)
    (found,) = scored(server, grader(**SCORE))
    assert (found.reward, found.errors.details) == (score, [])
    wide = scored(server, grader(**SCORE, range=[-10, 10]))[0]
    assert wide.reward == found.scores["score"]


@pytest.mark.parametrize(
    "content",
    ["good", "", None, '{"score": "high"}', '{"score": true}', "between 3 and 5", "NaN", "1e999", '{"x": 1}'],
)
def test_an_answer_without_a_number_is_0(server: ModelServer, content: str | None) -> None:
    says(server, content)
    (found,) = scored(server, grader(**SCORE, range=[-10, -5] if content == "good" else [0, 1]))
    assert (found.reward, found.errors.model_grader_parse_error) == (0, True)


def test_a_refusal_is_told(server: ModelServer) -> None:
    says(server, None, refusal="I must not.")
    (found,) = scored(server, grader(**SCORE))
    assert (found.reward, found.errors.model_grader_refusal_error) == (0, True)
    assert "I must not." in found.errors.details[0]


def test_a_server_that_is_busy_for_a_moment_is_asked_again(server: ModelServer) -> None:
    server.statuses, server.retry_after = [503, 429, 502, 500, 429], 0
    assert scored(server, grader(**SCORE))[0].reward == 1
    assert len(server.received) == 6


def test_questions_are_asked_again_after_longer_and_longer_pauses() -> None:
    def pause(tried: int, **headers: str) -> float:
        return asking._pause(httpx.Response(429, headers=headers), tried)  # pyright: ignore[reportPrivateUsage]

    assert [pause(tried) for tried in range(1, 6)] == [0.5, 1, 2, 4, 8]
    assert pause(1, **{"retry-after": "7"}) == 7
    assert pause(1, **{"retry-after": "3600"}) == 30
    assert pause(1, **{"retry-after": "Sat, 28 Nov 2026 00:00:00 GMT"}) == 0.5


def test_half_a_character_fails_one_sample_and_not_the_batch(server: ModelServer) -> None:
    about = SCORE | {"input": [{"role": "user", "content": "{{ sample.output_json.a }}"}]}
    broken, fine = scored(server, grader(**about), ['{"a": "\\ud83d"}', '{"a": "b"}'])
    assert (broken.reward, broken.errors.sample_parse_error, fine.reward) == (0, True, 1)


def test_a_server_that_fails_is_told_without_its_key(server: ModelServer) -> None:
    server.statuses = [400]
    (found,) = scored(server, grader(**SCORE))
    assert (found.reward, found.errors.model_grader_server_error) == (0, True)
    assert (
        found.errors.model_grader_server_error_details
        == 'the server answered 400: {"error": {"message": "not now, Bearer …"}}'
    )
    assert len(server.received) == 1
    nowhere = ModelServer("http://127.0.0.1:9/v1")
    (found,) = scored(nowhere, grader(**SCORE))
    assert found.errors.model_grader_server_error_details == "the server does not answer: ConnectError"
    assert "sk-" not in str(vars(found.errors))


@pytest.mark.parametrize(
    ("content", "reward"), [('{"label": "good"}', 1), ('{"label": "bad"}', 0), ("Good.", 1), ("GOOD", 1)]
)
def test_labels(server: ModelServer, content: str, reward: float) -> None:
    says(server, content)
    part = {**LABEL, "labels": ["good", "bad"], "passing_labels": ["good"]}
    (found,) = scored(server, grader("multi", graders={"label": part}, calculate_output="label"))
    assert (found.reward, found.errors.details) == (reward, [])
    schema = server.received[0][2]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["label"]["enum"] == ["good", "bad"]


def test_a_label_that_is_none_is_told(server: ModelServer) -> None:
    says(server, "perhaps")
    part = {**LABEL, "labels": ["good", "bad"], "passing_labels": ["good"]}
    (found,) = scored(server, grader("multi", graders={"label": part}, calculate_output="label"))
    assert (found.reward, found.errors.model_grader_parse_error) == (0, True)
    assert found.errors.details[0].startswith("graders.label.input: ")


def test_a_batch_is_asked_at_once_and_comes_back_in_order(server: ModelServer) -> None:
    together = threading.Barrier(8)

    def say(body: dict[str, Any]) -> dict[str, Any]:
        together.wait(timeout=60)  # nobody is answered before all have asked
        return {"content": f"0.{body['messages'][1]['content'].partition(chr(10))[2]}"}

    server.say = say
    found = scored(server, grader(**SCORE), "12345678")
    assert [one.reward for one in found] == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


def test_cosine_asks_the_server_for_embeddings(server: ModelServer) -> None:
    """The server's vectors are (length, number of a): (2, 2) and (2, 0)."""
    cosine = grader("text_similarity", input="aa", reference="bb", evaluation_metric="cosine")
    (found,) = scored(server, cosine)
    assert (found.reward, found.errors.details) == (pytest.approx(2**-0.5), [])
    ((path, key, body),) = server.received
    assert (path, key, body) == (
        "/v1/embeddings",
        "Bearer sk-for-embeddings",
        {"model": "embedder", "input": ["aa", "bb"]},
    )
