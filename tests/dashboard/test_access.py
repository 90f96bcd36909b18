"""Who gets in, and what of their key can be found where."""

import base64
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import delete
from sqlalchemy.orm import Session
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect

from core.models import ApiKey
from tests.conftest import ProjectKey
from tests.dashboard.axe import grave
from tests.dashboard.conftest import run_dashboard
from tests.stack import Stack

PAGES = ("/", "/jobs", "/jobs/new", "/data", "/data/x", "/data/upload", "/models", "/models/x", "/projects")
COOKIE = "tunesmith_session"


@pytest.fixture
def anonymous(dashboard: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=dashboard) as client:
        yield client


def log_in(client: httpx.Client, key: str, *, onward: str = "/") -> httpx.Response:
    data = {"api_key": key, "next": onward}
    return client.post("/login", data=data, headers={"origin": origin_of(client)})


def origin_of(client: httpx.Client) -> str:
    return str(client.base_url).rstrip("/")


@pytest.mark.parametrize("path", PAGES)
def test_without_a_session_every_page_asks_to_log_in(anonymous: httpx.Client, path: str) -> None:
    answer = anonymous.get(f"{path}%3Fy?search=a%26b")
    assert answer.status_code == 303
    assert httpx.URL(answer.headers["location"]).params["next"] == f"{path}%3Fy?search=a%26b"
    assert anonymous.post(path).status_code == 401


def test_the_socket_is_no_way_around_it(dashboard: str) -> None:
    address = dashboard.replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(InvalidHandshake), connect(address):
        pass
    polling = httpx.get(f"{dashboard}/_nicegui_ws/socket.io/?EIO=4&transport=polling")
    assert polling.status_code == 401


@pytest.mark.parametrize("origin", [None, "null", "https://elsewhere.example"])
def test_what_comes_from_elsewhere_does_nothing(
    anonymous: httpx.Client, project: ProjectKey, origin: str | None
) -> None:
    headers = {"origin": origin} if origin else {}
    answer = anonymous.post("/login", data={"api_key": project.key}, headers=headers)
    assert (answer.status_code, COOKIE in anonymous.cookies) == (403, False)
    log_in(anonymous, project.key)
    for path in ("/logout", "/data/upload?filename=x.jsonl"):
        assert anonymous.post(path, content=b"{}", headers=headers).status_code == 403
    assert anonymous.get("/jobs").status_code == 200
    given = [("cookie", f"{COOKIE}={anonymous.cookies[COOKIE]}")]
    address = origin_of(anonymous).replace("http", "ws") + "/_nicegui_ws/socket.io/?EIO=4&transport=websocket"
    with pytest.raises(InvalidHandshake), connect(address, additional_headers=[*given, *headers.items()]):
        pass
    with connect(address, additional_headers=[*given, ("origin", origin_of(anonymous))]) as ours:
        assert str(ours.recv()).startswith("0")  # Engine.IO is open


def test_behind_a_proxy_that_passes_the_host_on_the_browser_s_origin_is_ours(
    anonymous: httpx.Client, project: ProjectKey
) -> None:
    headers = {"host": "dash.example:8443", "origin": "https://dash.example:8443"}
    assert anonymous.post("/login", data={"api_key": project.key}, headers=headers).status_code == 303


def test_who_leaves_before_an_answer_is_no_fault(stack: Stack, project: ProjectKey, tmp_path: Path) -> None:
    with run_dashboard(tmp_path, f"{stack.url}/v1") as url, httpx.Client(base_url=url) as client:
        log_in(client, project.key)
        request = client.build_request("GET", "/_nicegui_ws/socket.io/?EIO=4&transport=polling")
        headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
        for _ in range(50):
            with socket.create_connection((request.url.host, request.url.port or 80)) as connection:
                connection.sendall(f"GET {request.url.raw_path.decode()} HTTP/1.1\r\n{headers}\r\n".encode())
        assert client.get("/jobs").status_code == 200
    log = tmp_path / "logs" / "dashboard.log"  # made with the first line
    assert not log.exists() or "Traceback" not in log.read_text()


@pytest.mark.parametrize("key", ["", "sk-none", "ключ", "x" * 513, "a\nb"])
def test_what_is_no_key_gets_no_session(anonymous: httpx.Client, key: str) -> None:
    answer = log_in(anonymous, key)
    assert answer.status_code in (401, 422)
    assert COOKIE not in anonymous.cookies
    assert key not in answer.text or not key


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_login_is_accessible(browser: Browser, dashboard: str, theme: Literal["light", "dark"]) -> None:
    page = browser.new_page(color_scheme=theme)
    page.goto(f"{dashboard}/login")
    page.get_by_label("API key").fill("none")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("That is no valid API key of this Tunesmith.")
    assert grave(page) == []
    page.close()


def test_the_cookie_is_out_of_reach_and_says_nothing_of_the_key(anonymous: httpx.Client, project: ProjectKey) -> None:
    answer = log_in(anonymous, project.key)
    cookie = answer.headers["set-cookie"].lower()
    assert {"httponly", "samesite=lax", "path=/"} <= set(cookie.split("; "))
    assert "max-age=43200" in cookie
    token = anonymous.cookies[COOKIE]
    assert project.key not in token
    assert base64.b64encode(project.key.encode()).decode() not in token
    page = anonymous.get("/jobs")
    assert page.status_code == 200
    assert project.key not in page.text
    assert page.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "onward", ["//evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/login", "/a\\b"]
)
def test_a_link_to_the_login_leads_nowhere_else(anonymous: httpx.Client, project: ProjectKey, onward: str) -> None:
    assert log_in(anonymous, project.key, onward=onward).headers["location"] == "/"


def test_logging_out_ends_the_session_and_not_only_the_cookie(anonymous: httpx.Client, project: ProjectKey) -> None:
    log_in(anonymous, project.key)
    token = anonymous.cookies[COOKIE]
    assert anonymous.post("/logout", headers={"origin": origin_of(anonymous)}).status_code == 303
    assert COOKIE not in anonymous.cookies
    answer = anonymous.get("/jobs", headers={"cookie": f"{COOKIE}={token}"})
    assert answer.status_code == 303


def test_a_session_ends_by_itself_and_an_open_page_asks_to_log_in_again(
    stack: Stack, tmp_path: Path, project: ProjectKey, look: Callable[..., Page]
) -> None:
    with run_dashboard(tmp_path, f"{stack.url}/v1", session_hours=str(3 / 3600)) as url:
        page = look(project.key, f"{url}/jobs?status=running")
        page.wait_for_url("**/login?next=*")
        page.get_by_label("API key").fill(project.key)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/jobs?status=running")
        page.close()  # before its server goes, which it would miss


def test_no_file_of_the_dashboard_holds_the_key(
    stack: Stack, tmp_path: Path, project: ProjectKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    began = time.time()
    with run_dashboard(tmp_path, f"{stack.url}/v1", secure_cookies="true") as url, httpx.Client(base_url=url) as client:
        answer = log_in(client, project.key)
        assert "secure" in answer.headers["set-cookie"].lower().split("; ")
        client.get("/jobs", headers={"cookie": answer.headers["set-cookie"].partition(";")[0]})
    written = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_mtime >= began - 1]
    assert all(project.key.encode() not in path.read_bytes() for path in written)


def test_a_project_sees_its_own_and_an_operator_everything(
    look: Callable[..., Page], make_project: Callable[[str], ProjectKey], operator_key: str, stack: Stack
) -> None:
    ours, theirs = make_project("ours"), make_project("theirs")
    made = [new_job(stack, who.key) for who in (ours, theirs)]
    page = look(ours.key, "/jobs")
    expect(page.get_by_role("link", name=made[0])).to_be_visible()
    expect(page.get_by_role("link", name=made[1])).to_have_count(0)
    page = look(operator_key, "/jobs")
    for job_id in made:
        expect(page.get_by_role("link", name=job_id)).to_be_visible()


def new_job(stack: Stack, key: str) -> str:
    """Of no file: a model with random weights."""
    method = {"type": "initialization", "initialization": {"tokenizer": {"type": "model"}}}
    spec = {"model": "tiny-random-llama", "method": method}
    headers = {"authorization": f"Bearer {key}"}
    answer = httpx.post(f"{stack.url}/v1/fine_tuning/jobs", json=spec, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def test_a_key_that_is_gone_is_out_at_its_next_request(
    look: Callable[..., Page], project: ProjectKey, session: Session
) -> None:
    page = look(project.key, "/jobs")
    session.execute(delete(ApiKey))
    session.commit()
    page.wait_for_url("**/login?next=*")
