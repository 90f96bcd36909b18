"""What routes ask for."""

from collections.abc import Iterator
from typing import Annotated, cast

from fastapi import Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from api.rate_headers import rate_headers
from core.access.key_cache import KeyCache
from core.access.owner import Owner
from core.access.rate_limit import RateLimited, RateLimiter
from core.access.service import authenticate
from core.db import session_scope
from core.registry.cards import Cards
from core.registry.catalogue import Catalogue
from core.settings import Settings
from core.storage import Storage


# Plain look-ups are coroutines: a `def` dependency would cost each request a trip through the thread pool.
async def get_settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


async def get_engine(request: Request) -> Engine:
    return cast("Engine", request.app.state.engine)


async def get_storage(request: Request) -> Storage:
    return cast("Storage", request.app.state.storage)


async def get_catalogue(request: Request) -> Catalogue:
    return cast("Catalogue", request.app.state.catalogue)


async def get_cards(request: Request) -> Cards:
    return cast("Cards", request.app.state.cards)


async def authenticated(request: Request) -> Owner:
    """Who the bearer key speaks for; the request counts against the limit of that project.

    A coroutine: a busy client, whose key and share of requests are at hand, costs no trip through the thread pool.

    Raises:
        NotAuthenticated: the header holds no valid key.
        RateLimited: the project has made too many requests.
    """
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    key = text.strip() if scheme.lower() == "bearer" else ""
    cache = cast("KeyCache", request.app.state.key_cache)
    owner = cache.get(key)
    if owner is None:
        owner = await run_in_threadpool(_look_up, request.app.state.engine, key)
        cache.put(key, owner)
    limiter = cast("RateLimiter", request.app.state.rate_limiter)
    rate = await run_in_threadpool(limiter.take, owner) if limiter.must_ask(owner) else limiter.take(owner)
    if rate is not None:
        request.state.answer_headers = rate_headers(rate)
        if rate.retry_after is not None:
            raise RateLimited(rate)
    return owner


def _look_up(engine: Engine, key: str) -> Owner:
    # In a transaction of its own: an upload may take longer than one should last.
    with session_scope(engine) as session:
        return authenticate(session, key=key)


def get_session(engine: Annotated[Engine, Depends(get_engine)]) -> Iterator[Session]:
    with session_scope(engine) as session:
        yield session


SettingsDep = Annotated[Settings, Depends(get_settings)]
EngineDep = Annotated[Engine, Depends(get_engine)]
StorageDep = Annotated[Storage, Depends(get_storage)]
CardsDep = Annotated[Cards, Depends(get_cards)]
CatalogueDep = Annotated[Catalogue, Depends(get_catalogue)]
OwnerDep = Annotated[Owner, Depends(authenticated)]
# Scope "function": committed before the answer is sent, so that what a client was told is in the database.
SessionDep = Annotated[Session, Depends(get_session, scope="function")]

After = Annotated[str | None, Query(max_length=64, description="The id of the last item of the page before.")]
