"""Checking and running graders through the API."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psutil
import pytest
from pydantic import SecretStr

from api import grading
from core.settings import Settings
from core.specs.asking import Reply
from graders import process
from graders.task import Task
from tests.api.conftest import serve
from tests.graders.grading import grader, need_full_sandbox, nobody, without_bubblewrap
from tests.model_server import ModelServer, model_server
from tests.stack import eventually

URL = "/v1/fine_tuning/alpha/graders"
CHECK = {
    "type": "string_check",
    "name": "c",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.a }}",
    "operation": "eq",
}
PYTHON = {"type": "python", "name": "p", "source": "def grade(sample, item):\n    return len(sample['output_text'])\n"}
MODEL = {"type": "score_model", "name": "s", "model": "judge", "input": [{"role": "user", "content": "{{ item.a }}"}]}
JOB = {"model": "tiny-random-llama", "training_file": "file-none"}
FLAGS = {
    *("formula_parse_error", "sample_parse_error", "truncated_observation_error", "unresponsive_reward_error"),
    *("invalid_variable_error", "other_error", "python_grader_server_error", "python_grader_server_error_type"),
    *("python_grader_runtime_error", "python_grader_runtime_error_details", "model_grader_server_error"),
    *("model_grader_refusal_error", "model_grader_parse_error", "model_grader_server_error_details"),
}
PATIENCE = 170  # seconds: a child has to start, on a machine that may be busy

Call = Callable[..., httpx.Response]


@pytest.fixture
def run(http: httpx.Client) -> Call:
    def call(grader: dict[str, Any], sample: str = "x", **item: Any) -> httpx.Response:
        body = {"grader": grader, "model_sample": sample, "item": item}
        return http.post(f"{URL}/run", json=body, timeout=PATIENCE)

    return call


@pytest.fixture
def validate(http: httpx.Client) -> Call:
    return lambda grader: http.post(f"{URL}/validate", json={"grader": grader}, timeout=PATIENCE)


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture
def with_models(settings: Settings, http: httpx.Client, models: ModelServer) -> Iterator[httpx.Client]:
    """A client of an API whose operator has set a server for model graders."""
    more = {
        "grader_model_url": models.url,
        "grader_model_key": SecretStr("sk-of-the-operator"),
        "grader_embeddings_url": models.url,
    }
    with serve(settings.model_copy(update=more)) as served:
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(base_url=served.url, headers=http.headers, timeout=PATIENCE, transport=transport) as client:
            yield client


def reinforcement(grader: dict[str, Any]) -> dict[str, Any]:
    return {"type": "reinforcement", "reinforcement": {"grader": grader}}


def error(answer: httpx.Response) -> tuple[str, str, str]:
    assert answer.status_code == 400, answer.text
    told = answer.json()["error"]
    return told["code"], told["param"], told["message"]


def test_a_run_answers_what_the_contract_says(run: Call) -> None:
    answer = run(CHECK, "x", a="x").json()
    assert set(answer) == {"reward", "metadata", "sub_rewards", "model_grader_token_usage_per_model"}
    metadata = answer["metadata"]
    assert (answer["reward"], answer["sub_rewards"], answer["model_grader_token_usage_per_model"]) == (1, {}, {})
    assert (metadata["name"], metadata["type"], metadata["scores"], metadata["token_usage"]) == (
        "c",
        "string_check",
        {},
        None,
    )
    assert metadata["execution_time"] > 0
    assert set(metadata["errors"]) == {*FLAGS, "details"}
    assert not any(metadata["errors"].values())


def test_faults_of_a_sample_are_in_the_answer(run: Call) -> None:
    errors = run(CHECK, "x", b="x").json()["metadata"]["errors"]
    assert errors["invalid_variable_error"] is True
    assert errors["details"] == ["reference: {{ item.a }}: item has no 'a'; it has b"]
    failing = {**PYTHON, "source": "def grade(sample, item):\n    return 1 / 0\n"}
    errors = run(failing).json()["metadata"]["errors"]
    assert errors["python_grader_runtime_error"] is True
    assert errors["python_grader_runtime_error_details"] == "line 2: ZeroDivisionError: division by zero"


def test_multi_reasoning_and_math_run(run: Call) -> None:
    parts = {"check": CHECK, "math": {"type": "math", "name": "m", "reference": "{{ item.a }}"}, "length": PYTHON}
    multi = {"type": "multi", "name": "m", "graders": parts, "calculate_output": "check + math * length"}
    answer = run(multi, "$\\frac{1}{2}$", a="0.5").json()
    assert answer["sub_rewards"] == {"check": 0, "math": 1, "length": 13}
    assert (answer["reward"], answer["metadata"]["errors"]["details"]) == (13, [])
    reasoning = {"type": "reasoning", "name": "r", "reference": "{{ item.a }}"}
    answer = run(reasoning, "<think>6 times 7 is 42</think>It is 42.", a="42").json()
    assert answer["sub_rewards"] == {"correctness": 1, "quality": 1, "brevity": pytest.approx(0.96, abs=0.01)}
    assert answer["metadata"]["scores"]["answer_follows"] == 1


def test_a_valid_grader_comes_back_with_its_defaults(validate: Call) -> None:
    assert validate(CHECK).json() == {"grader": CHECK}
    answer = validate({"type": "math", "name": "m", "reference": "1"}).json()
    assert answer["grader"]["input"] == "{{ sample.output_text }}"
    assert validate(PYTHON).json()["grader"]["sandbox"] == "monty"


def test_python_runs_in_the_full_sandbox_too(run: Call) -> None:
    need_full_sandbox()
    body = "import numpy\ndef grade(sample, item):\n    return float(numpy.mean(item['n']))\n"
    answer = run({**PYTHON, "source": body, "sandbox": "full"}, n=[1, 2]).json()
    assert (answer["reward"], answer["metadata"]["errors"]["details"]) == (1.5, [])


@pytest.mark.parametrize("route", ["run", "validate"])
@pytest.mark.parametrize(
    ("grader", "code", "param", "words"),
    [
        ({**CHECK, "x": 1}, "unknown_parameter", "grader.x", "allowed here: input, name, operation, reference, type"),
        ({**CHECK, "input": "{{ itm.a }}"}, "invalid_value", "grader.input", "'{{ itm.a }}' names nothing"),
        ({**PYTHON, "source": "x = 1\nx = = 2"}, "invalid_grader", "grader.source", "line 2: SyntaxError"),
        (
            {"type": "multi", "name": "m", "graders": {"s": MODEL}, "calculate_output": "s"},
            "invalid_grader",
            "grader.graders.s.type",
            "TUNESMITH_GRADER_MODEL_URL is not set",
        ),
        (
            {"type": "text_similarity", "name": "t", "input": "", "reference": "", "evaluation_metric": "cosine"},
            "invalid_grader",
            "grader.evaluation_metric",
            "TUNESMITH_GRADER_EMBEDDINGS_URL is not set",
        ),
        ({"name": "t"}, "invalid_value", "grader.type", "grader.type: required"),
    ],
)
def test_refusals(http: httpx.Client, route: str, grader: dict[str, Any], code: str, param: str, words: str) -> None:
    body = {"grader": grader, **({"model_sample": "x"} if route == "run" else {})}
    told = error(http.post(f"{URL}/{route}", json=body, timeout=PATIENCE))
    assert told[:2] == (code, param)
    assert words in told[2]


@pytest.mark.parametrize(
    ("route", "param", "body"),
    [
        ("alpha/graders/run", "grader", lambda grader: {"grader": grader, "model_sample": "x"}),
        ("alpha/graders/validate", "grader", lambda grader: {"grader": grader}),
        *(
            (route, "method.reinforcement.grader", lambda grader: {**JOB, "method": reinforcement(grader)})
            for route in ("jobs", "jobs/estimate")
        ),
    ],
)
def test_without_bubblewrap_the_full_sandbox_is_refused(
    http: httpx.Client, route: str, param: str, body: Callable[[Any], Any]
) -> None:
    with without_bubblewrap():
        answer = http.post(f"/v1/fine_tuning/{route}", json=body({**PYTHON, "sandbox": "full"}))
    code, told, message = error(answer)
    assert (code, told) == ("invalid_grader", f"{param}.sandbox")
    assert f"{param}.sandbox: 'full' is not possible here: bubblewrap is not installed" in message


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("while True: pass", "not done within 0.5 s"),
        ("x = 9 ** 9 ** 9", "line 1: MemoryError"),
        ("x = 'a' * 10 ** 12", "line 1: MemoryError"),
        ("x = 3 ** 10 ** 8", "the sandbox was ended"),  # within one operation, whose time nobody looks at
    ],
)
def test_a_source_whose_top_level_takes_too_much_is_refused(run: Call, validate: Call, source: str, words: str) -> None:
    greedy = {**PYTHON, "source": f"{source}\n{PYTHON['source']}", "timeout_seconds": 0.5}
    for answer in (validate(greedy), run(greedy)):
        code, param, message = error(answer)
        assert (code, param, words in message) == ("invalid_grader", "grader.source", True), message
    assert run(PYTHON, "x").json()["reward"] == 1


def test_a_run_needs_a_sample(http: httpx.Client) -> None:
    assert error(http.post(f"{URL}/run", json={"grader": CHECK}))[:2] == ("invalid_value", "model_sample")
    assert error(http.post(f"{URL}/run", json={"grader": CHECK, "model_sample": "", "sample": 1}))[1] == "sample"
    answer = http.post(f"{URL}/run", json={"grader": {**CHECK, "reference": ""}, "model_sample": "", "item": None})
    assert answer.json()["reward"] == 1


def test_model_graders_ask_the_operators_server(with_models: httpx.Client, models: ModelServer) -> None:
    models.say = lambda _: {"content": '{"score": 0.5}'}
    answer = with_models.post(f"{URL}/run", json={"grader": MODEL, "model_sample": "x", "item": {"a": "judge"}}).json()
    assert (answer["reward"], answer["metadata"]["errors"]["details"]) == (0.5, [])
    assert (answer["metadata"]["token_usage"], answer["metadata"]["sampled_model_name"]) == (15, "judge-2026")
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert answer["model_grader_token_usage_per_model"] == {"judge-2026": usage}
    ((path, key, body),) = models.received
    assert (path, key, body["messages"]) == (
        "/v1/chat/completions",
        "Bearer sk-of-the-operator",
        [{"role": "user", "content": "judge"}],
    )
    models.statuses = [401]
    answer = with_models.post(f"{URL}/run", json={"grader": MODEL, "model_sample": "x", "item": {"a": "judge"}})
    assert answer.json()["metadata"]["errors"]["model_grader_server_error"] is True
    assert "sk-of-the-operator" not in answer.text
    cosine = {"type": "text_similarity", "name": "t", "input": "aa", "reference": "bb", "evaluation_metric": "cosine"}
    answer = with_models.post(f"{URL}/run", json={"grader": cosine, "model_sample": "x"}).json()
    assert answer["reward"] == pytest.approx(2**-0.5)


def test_a_grader_that_takes_too_long_is_killed_with_all_that_it_has_started() -> None:
    endless = grader(**{**PYTHON, "source": "def grade(sample, item):\n    while True: pass\n"})
    started = time.monotonic()
    ours = psutil.Process()
    task = Task.model_validate({"grader": endless, "sample": {"output_text": "x"}})
    done = process.run(task, nobody, seconds=10)
    assert done.outcome is not None
    assert done.outcome.errors.details == ["the grader takes more time or memory than is allowed"]
    assert time.monotonic() - started < 60

    def left() -> list[str]:
        return [child.name() for child in ours.children(recursive=True) if "monty" in child.name()]

    eventually(lambda: not left(), seconds=10, what="the sandbox is gone")


def test_a_child_has_no_secrets_and_limits(run: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen from inside: its process asks, and while it waits we look at it."""
    monkeypatch.setenv("TUNESMITH_S3_SECRET_ACCESS_KEY", "hidden")
    seen: list[tuple[str, str]] = []

    def look(questions: Any) -> Any:
        child = next(c for c in psutil.Process().children() if "graders.child" in c.cmdline())
        with open(f"/proc/{child.pid}/environ") as environ, open(f"/proc/{child.pid}/limits") as limits:
            seen.append((environ.read(), limits.read()))
        return [{"text": "1"} for _ in questions]

    task = Task.model_validate({"grader": grader(**MODEL), "sample": {"output_text": "x", "item": {"a": "b"}}})
    done = process.run(task, lambda questions: [Reply(**reply) for reply in look(questions)])
    assert done.outcome is not None
    assert done.outcome.reward == 1
    ((environ, limits),) = seen
    assert "TUNESMITH" not in environ
    assert f"Max address space         {4 * 1024**3}" in limits


def test_only_a_few_run_at_once(run: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grading, "PATIENCE", 0.1)
    held = [grading._turns.acquire() for _ in range(grading.AT_ONCE)]  # pyright: ignore[reportPrivateUsage]
    try:
        answer = run(CHECK, "x", a="x")
    finally:
        for _ in held:
            grading._turns.release()  # pyright: ignore[reportPrivateUsage]
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "graders_busy")
    assert answer.headers["retry-after"] == "5"
    assert run(CHECK, "x", a="x").status_code == 200


def test_only_a_few_wait_for_their_turn(run: Call) -> None:
    """At once: who waits holds one of the threads that answer everybody."""
    count = grading.AT_ONCE + grading.MOST_WAITING
    held = [grading._places.acquire() for _ in range(count)]  # pyright: ignore[reportPrivateUsage]
    try:
        answer = run(CHECK, "x", a="x")
    finally:
        for _ in held:
            grading._places.release()  # pyright: ignore[reportPrivateUsage]
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "graders_busy")
