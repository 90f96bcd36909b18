"""How large the model of an initialization is: told by its estimate, and limited when it is created."""

from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func

from core.db import session_scope
from core.models import Worker
from core.specs.initialization import Initialization
from tests.api.conftest import Served
from tests.api.test_estimate import MODEL, processed

HUGE = {"hidden_size": 16_384, "layers": 256, "heads": 128, "intermediate_size": 65_536}


def job(training_file: str | None, **options: Any) -> dict[str, Any]:
    takes = {"training_file": training_file} if training_file else {"model": MODEL}
    return {**takes, "method": {"type": "initialization", "initialization": options}}


@pytest.fixture
def text(http: httpx.Client, engine: Engine) -> str:
    return processed(http, engine, [{"text": "a cat"}])


def test_an_estimate_tells_parameters_and_memory(http: httpx.Client, engine: Engine, text: str) -> None:
    with session_scope(engine) as session:
        common = {"current_attempts": [], "started_at": func.now(), "last_seen": func.now(), "queue": "train"}
        session.add(Worker(id="small", devices=[], memory_bytes=1_000_000, slots=1, **common))
    tokenizer = {"type": "bpe", "vocab_size": 1000}
    answer = http.post("/v1/fine_tuning/jobs/estimate", json=job(text, tokenizer=tokenizer))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    parameters = Initialization().parameters(vocab_size=1000)
    assert found["compute"]["parameters"] == parameters
    assert found["memory"]["frozen_bytes"] == found["memory"]["total_bytes"] == 4 * parameters
    assert [device["fits"] for device in found["memory"]["devices"]] == [False]
    assert [warning["code"] for warning in found["warnings"]] == ["memory"]
    assert (found["model"], found["base_model"], found["steps"]) == ("llama-nano", "llama-nano", 0)
    assert http.get("/v1/fine_tuning/jobs").json()["data"] == []


@pytest.mark.parametrize("type_", ["model", "characters"])
def test_a_vocabulary_that_only_a_worker_sees_is_not_counted(http: httpx.Client, text: str, type_: str) -> None:
    body = job(None if type_ == "model" else text, tokenizer={"type": type_})
    found = http.post("/v1/fine_tuning/jobs/estimate", json=body).json()
    assert found["compute"]["parameters"] == Initialization().parameters(vocab_size=0)
    assert [warning["code"] for warning in found["warnings"]] == ["vocabulary_unknown"]


@pytest.mark.parametrize("path", ["/v1/fine_tuning/jobs", "/v1/fine_tuning/jobs/estimate"])
def test_a_model_beyond_the_bound_is_refused_by_key(
    http: httpx.Client, served: Served, text: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(body: dict[str, Any]) -> tuple[int, str, str]:
        answer = http.post(path, json=body)
        return answer.status_code, answer.json()["error"]["param"], answer.json()["error"]["message"]

    status, param, message = refused(job(text, sizes=HUGE))
    count = Initialization.model_validate({"sizes": HUGE}).parameters(vocab_size=4096)
    assert (status, param) == (400, "method.initialization.sizes")
    assert f"with a vocabulary of 4,096 has {count:,} parameters, but at most 2,000,000,000" in message
    status, param, message = refused(job(None, sizes=HUGE, tokenizer={"type": "model"}))
    assert (status, param) == (400, "method.initialization.sizes")
    assert "without its embeddings" in message

    count = Initialization().parameters(vocab_size=4096)
    monkeypatch.setattr(served.app.state.settings, "initialization_max_parameters", count - 1)
    assert refused(job(text))[:2] == (400, "method.initialization.preset")
    monkeypatch.setattr(served.app.state.settings, "initialization_max_parameters", count)
    assert http.post(path, json=job(text)).status_code == 200
