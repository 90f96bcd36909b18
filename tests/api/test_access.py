import re

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import Engine, text

from tests.api.conftest import Served
from tests.conftest import ProjectKey


def routes(served: Served) -> list[tuple[str, str]]:
    """(method, path) of everything that the router can match, hidden routes too."""
    found: list[tuple[str, str]] = []
    for entry in served.app.router.routes:
        if isinstance(entry, APIRoute):
            found += [(method, entry.path) for method in entry.methods]
        else:
            # FastAPI keeps included routers as they are; anything else (a mounted app) has no such method and fails.
            contexts = entry.effective_route_contexts()  # pyright: ignore[reportAttributeAccessIssue]
            found += [(method, context.path) for context in contexts for method in context.methods]
    assert len(found) >= 20
    return found


def test_without_a_key_every_route_but_health_answers_401(served: Served, anonymous: httpx.Client) -> None:
    for method, path in routes(served):
        url = re.sub(r"\{\w+(:path)?\}", lambda found: "x/y" if found[1] else "x", path)
        answer = anonymous.request(method, url, content=b"{not json")
        if path in ("/healthz", "/readyz"):
            assert answer.status_code == 200
        else:
            assert answer.status_code == 401, (method, path)
            assert answer.json()["error"]["code"] == "invalid_api_key"
            assert answer.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize("key", ["tsk-", "tsk-" + "0" * 36, "sk-abc", "tsk-\u00e4"])
def test_malformed_keys_are_refused(anonymous: httpx.Client, key: str) -> None:
    answer = anonymous.get("/v1/files", headers={b"authorization": f"Bearer {key}".encode()})
    assert answer.status_code == 401


def test_an_operator_sees_every_project_and_creates_nothing(
    http: httpx.Client, project: ProjectKey, operator_key: str
) -> None:
    file = http.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("a.jsonl", b"{}")}).json()
    operator = {"authorization": f"Bearer {operator_key}"}
    assert http.get(f"/v1/files/{file['id']}", headers=operator).status_code == 200
    refused = http.post(
        "/v1/files", headers=operator, data={"purpose": "fine-tune"}, files={"file": ("a.jsonl", b"{}")}
    )
    assert refused.status_code == 403
    assert "project key" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    "name", ["x" * 5000, "%2e%2e%2f" * 50, "%2Fetc%2Fpasswd", "file:%2F%2F%2Fetc", "%F0%9F%92%A5", "%00"]
)
def test_names_of_any_kind_and_length_name_nothing(served: Served, http: httpx.Client, name: str) -> None:
    for method, path in routes(served):
        if "{" in path:
            answer = http.request(method, re.sub(r"\{\w+(:path)?\}", lambda _: name, path), json={})
            assert answer.status_code in (400, 404), (method, path, answer.text)
            assert answer.json()["error"]["message"]


def test_a_key_of_any_length_is_no_key(anonymous: httpx.Client) -> None:
    assert anonymous.get("/v1/files", headers={"authorization": "Bearer " + "x" * 20_000}).status_code == 401


def test_a_fault_of_ours_is_told_by_its_request_id_alone(
    http: httpx.Client, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """A table that is not there: what no route expects."""
    rename = "ALTER TABLE {} RENAME TO {}"
    with engine.begin() as connection:
        connection.execute(text(rename.format("uploads", "uploads_away")))
    try:
        answer = http.get("/v1/uploads/upload_x")
    finally:
        with engine.begin() as connection:
            connection.execute(text(rename.format("uploads_away", "uploads")))
    assert answer.status_code == 500
    error, request_id = answer.json()["error"], answer.headers["x-request-id"]
    assert (error["type"], error["param"]) == ("server_error", None)
    assert error["message"] == f"internal error; the server's log has more under {request_id}"
    assert [record for record in caplog.records if request_id in record.getMessage() and record.exc_info]
    assert http.get("/v1/uploads/upload_x").status_code == 404
