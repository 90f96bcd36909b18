"""What is repeated, what is not, and what a refusal becomes."""

from pathlib import Path
from typing import Any

import pytest
from tunesmith import Tunesmith
from tunesmith.errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    InternalServerError,
    MethodNotAllowedError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RequestTimeoutError,
    TooLargeError,
    UnexpectedAnswer,
    UnprocessableEntityError,
)

from tests.sdk.conftest import Answer, Script

JOB = {"id": "ftjob-1", "created_at": 1, "model": "m", "status": "queued", "training_file": "file-1"}
REFUSAL = {"error": {"message": "no such model", "type": "invalid_request_error", "param": "model", "code": "unknown"}}


def test_a_create_is_repeated_with_the_same_idempotency_key(
    script: Script, client: Tunesmith, waits: list[float], tmp_path: Path
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"row\n" * 1000)
    file = {"id": "file-1", "bytes": 4000, "created_at": 1, "filename": "rows.jsonl", "purpose": "fine-tune"}
    script.say(Answer(503), Answer(429, headers={"retry-after": "3"}), Answer(body={**file, "status": "uploaded"}))
    assert client.files.create(file=path).id == "file-1"
    assert len({request.headers["idempotency-key"] for request in script.received}) == 1
    assert len(script.received) == 3
    assert all(request.body.count(b"row\n") == 1000 for request in script.received)
    assert 0.3 < waits[0] <= 0.5
    assert waits[1] == 3.0

    script.say(Answer(body=JOB))
    for _ in range(2):
        client.fine_tuning.jobs.create(model="m", training_file="file-1")
    first, second = (request.headers["idempotency-key"] for request in script.received[-2:])
    assert first != second


def test_a_broken_answer_is_repeated(script: Script, client: Tunesmith) -> None:
    script.say(Answer(body=JOB, cut=True), Answer(body=JOB))
    assert client.fine_tuning.jobs.retrieve("ftjob-1").id == "ftjob-1"
    assert len(script.received) == 2


@pytest.mark.parametrize(
    ("status", "headers", "times"),
    [
        (400, {}, 1),
        (401, {}, 1),
        (404, {}, 1),
        (409, {}, 3),
        (429, {}, 3),
        (500, {}, 3),
        (429, {"retry-after": "3600"}, 1),  # longer than anybody waits in a call
        (500, {"x-should-retry": "false"}, 1),
        (400, {"x-should-retry": "true"}, 3),
    ],
)
def test_how_often(script: Script, client: Tunesmith, status: int, headers: dict[str, str], times: int) -> None:
    script.say(Answer(status, REFUSAL, headers))
    with pytest.raises(APIStatusError):
        client.fine_tuning.jobs.retrieve("ftjob-1")
    assert len(script.received) == times


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, BadRequestError),
        (401, AuthenticationError),
        (403, PermissionDeniedError),
        (404, NotFoundError),
        (405, MethodNotAllowedError),
        (408, RequestTimeoutError),
        (409, ConflictError),
        (413, TooLargeError),
        (418, APIStatusError),
        (422, UnprocessableEntityError),
        (429, RateLimitError),
        (503, InternalServerError),
    ],
)
def test_error_classes(script: Script, client: Tunesmith, status: int, kind: type[APIStatusError]) -> None:
    script.say(Answer(status, REFUSAL, {"x-request-id": "req_1"}))
    with pytest.raises(APIStatusError) as caught:
        client.models.retrieve("m")
    error = caught.value
    assert type(error) is kind
    assert (error.status_code, error.message, error.code, error.param) == (status, "no such model", "unknown", "model")
    assert str(error) == f"no such model (HTTP {status}, request req_1)"


@pytest.mark.parametrize("body", [b"<html>Bad Gateway</html>", [], {"error": "text"}, b"\xff\xfe"])
def test_a_refusal_by_something_else_on_the_way(script: Script, client: Tunesmith, body: Any) -> None:
    script.say(Answer(502, body))
    with pytest.raises(InternalServerError, match="Bad Gateway"):
        client.files.retrieve("file-1")


@pytest.mark.parametrize("body", [b"<html>welcome</html>", {"id": "ftjob-1"}, []])
def test_a_good_status_with_something_else_in_it(script: Script, client: Tunesmith, body: Any) -> None:
    script.say(Answer(200, body))
    with pytest.raises(UnexpectedAnswer):
        client.fine_tuning.jobs.retrieve("ftjob-1")


def test_nobody_there(script: Script, waits: list[float]) -> None:
    client = Tunesmith(base_url="http://127.0.0.1:1/v1", api_key="tsk-secret")
    with client, pytest.raises(APIConnectionError, match=r"http://127\.0\.0\.1:1 does not answer"):
        client.models.list()
    assert len(waits) == 2


def test_lists_go_on_from_page_to_page(script: Script, client: Tunesmith) -> None:
    def page(*ids: str, more: bool) -> Answer:
        return Answer(body={"object": "list", "data": [{**JOB, "id": i} for i in ids], "has_more": more})

    script.say(page("a", "b", more=True), page("c", more=False))
    found = client.fine_tuning.jobs.list(limit=2, metadata={"team": "x"})
    assert [job.id for job in found] == ["a", "b", "c"]
    assert script.received[0].path == "/v1/fine_tuning/jobs?limit=2&metadata%5Bteam%5D=x"
    assert script.received[1].path == "/v1/fine_tuning/jobs?limit=2&metadata%5Bteam%5D=x&after=b"


@pytest.mark.parametrize("identifier", ["", ".", "..", "../keys"])
def test_an_id_never_leads_to_another_route(script: Script, client: Tunesmith, identifier: str) -> None:
    with pytest.raises(ValueError, match="not an id"):
        client.models.delete(identifier)
    script.say(Answer(body=JOB))
    client.fine_tuning.jobs.retrieve("a/cancel?x#y")
    assert [request.path for request in script.received] == ["/v1/fine_tuning/jobs/a%2Fcancel%3Fx%23y"]


@pytest.mark.parametrize(
    "settings",
    [{"api_key": None}, {"api_key": "two\nlines"}, {"base_url": "ftp://x"}, {"max_retries": -1}],
)
def test_a_client_that_cannot_work_is_refused(monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]) -> None:
    monkeypatch.delenv("TUNESMITH_API_KEY", raising=False)
    with pytest.raises(ConfigurationError):
        Tunesmith(**{"api_key": "tsk-secret", **settings})


def test_the_key_is_not_shown(client: Tunesmith) -> None:
    assert "tsk-secret" not in repr(client) + repr(client.files)
