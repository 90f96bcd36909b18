"""What routes ask for."""

from collections.abc import Iterator
from typing import Annotated, cast

from fastapi import Depends, Query, Request
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.access.service import authenticate
from core.db import session_scope
from core.registry.cards import Cards
from core.registry.catalogue import Catalogue
from core.settings import Settings
from core.storage import Storage


def get_settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


def get_engine(request: Request) -> Engine:
    return cast("Engine", request.app.state.engine)


def get_storage(request: Request) -> Storage:
    return cast("Storage", request.app.state.storage)


def get_catalogue(request: Request) -> Catalogue:
    return cast("Catalogue", request.app.state.catalogue)


def get_cards(request: Request) -> Cards:
    return cast("Cards", request.app.state.cards)


def authenticated(request: Request) -> Owner:
    """Who the bearer key speaks for. In a transaction of its own: an upload may take longer than one should last."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    with session_scope(get_engine(request)) as session:
        return authenticate(session, key=key.strip() if scheme.lower() == "bearer" else None)


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
