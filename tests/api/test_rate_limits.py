import socket
from collections.abc import Iterator

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, func, update

from api.rate_headers import duration
from core.access.key_cache import KeyCache
from core.access.owner import Owner
from core.access.rate_limit import RateLimiter
from core.access.service import create_key
from core.db import session_scope
from core.ids import new_id
from core.models import ApiKey, Project
from core.settings import Settings
from embedded.ports import free_ports
from tests.conftest import ProjectKey
from tests.stack import eventually


@pytest.fixture
def limiter(settings: Settings) -> Iterator[RateLimiter]:
    limiter = RateLimiter(settings.model_copy(update={"rate_limit_per_minute": 600}))
    yield limiter
    limiter.close()


def test_a_project_has_one_bucket_over_all_of_its_keys(http: httpx.Client, project: ProjectKey, engine: Engine) -> None:
    with session_scope(engine) as session:
        session.execute(update(Project).values(rate_limit_per_minute=3))
        second = create_key(session, project_id=project.project_id, name="second")
    answers = [http.get("/v1/files"), http.get("/v1/files/file-x")]
    answers += [http.get("/v1/files", headers={"authorization": f"Bearer {second}"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 404, 200, 429]
    assert [answer.headers["x-ratelimit-remaining-requests"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"3"}
    assert answers[0].headers["x-ratelimit-reset-requests"] == "20s"
    refused = answers[-1]
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert 0 < int(refused.headers["retry-after"]) <= 20
    assert 0 < int(refused.headers["retry-after-ms"]) <= 20_000


def test_the_bucket_fills_again(limiter: RateLimiter) -> None:
    owner = Owner("key_x", new_id("proj_"), rate_limit_per_minute=1200)
    rates = [limiter.take(owner) for _ in range(1300)]
    refused = [rate for rate in rates if rate and rate.retry_after is not None]
    # 1200 at once, and one more every 50 ms of the time that this took.
    assert 0 < len(refused) <= 100
    assert all(rate.retry_after and rate.retry_after <= 0.05 for rate in refused)

    def goes_on() -> bool:
        rate = limiter.take(owner)
        return rate is not None and rate.retry_after is None

    eventually(goes_on, seconds=5, what="room for a request")


def test_projects_and_settings(limiter: RateLimiter) -> None:
    first, second = (limiter.take(Owner("key_x", new_id("proj_"))) for _ in range(2))
    assert first
    assert second
    assert (first.limit, first.remaining, second.remaining) == (600, 599, 599)
    assert limiter.take(Owner("key_x", new_id("proj_"), rate_limit_per_minute=0)) is None


@pytest.mark.parametrize("away", ["refuses", "is silent"])
def test_without_its_counter_the_api_goes_on_and_asks_but_once(settings: Settings, away: str) -> None:
    port = free_ports(1)[0]
    with socket.socket() as silent:
        if away == "is silent":
            silent.bind(("127.0.0.1", port))
            silent.listen()
            silent.setblocking(False)
        url = SecretStr(f"redis://127.0.0.1:{port}/0")
        limiter = RateLimiter(settings.model_copy(update={"redis_url": url, "rate_limit_per_minute": 1}))
        assert [limiter.take(Owner("key_x", "proj_x")) for _ in range(100)] == [None] * 100
        if away == "is silent":
            silent.accept()[0].close()
            with pytest.raises(BlockingIOError):
                silent.accept()
        limiter.close()


def test_replicas_share_one_bucket(settings: Settings) -> None:
    """Each takes some requests at once, and together they let through no more than the limit."""
    limiters = [RateLimiter(settings.model_copy(update={"rate_limit_per_minute": 240})) for _ in range(3)]
    owner = Owner("key_x", new_id("proj_"))
    rates = [limiter.take(owner) for _ in range(100) for limiter in limiters]
    allowed = [rate for rate in rates if rate and rate.retry_after is None]
    assert 240 <= len(allowed) < 300  # one more comes in each 250 ms
    for limiter in limiters:
        limiter.close()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.012, "12ms"), (1, "1s"), (8.64, "8.64s"), (360, "6m0s"), (3723.5, "1h2m3.5s"), (0, "0ms")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_revoked_key_stops_working_when_the_cache_has_forgotten_it(http: httpx.Client, engine: Engine) -> None:
    assert http.get("/v1/files").status_code == 200
    with session_scope(engine) as session:
        session.execute(update(ApiKey).values(revoked_at=func.now()))
    eventually(lambda: http.get("/v1/files").status_code == 401, seconds=5, what="the end of the key")


def test_the_cache_saves_look_ups_and_forgets() -> None:
    owner = Owner("key_x", "proj_x")
    for seconds, kept in ((60.0, owner), (0.0, None)):
        cache = KeyCache(seconds=seconds)
        assert cache.get("tsk-x") is None
        cache.put("tsk-x", owner)
        assert cache.get("tsk-x") == kept
        assert cache.get("tsk-y") is None
