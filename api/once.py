"""`Idempotency-Key` for routes: what was answered once is answered again, and nothing is done twice."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, TypeVar

from fastapi import Depends, Header, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from api.body import BodyDep
from api.deps import OwnerDep, SessionDep
from core.access.owner import Owner
from core.db import session_scope
from core.errors import TunesmithError
from core.idempotency import service
from core.idempotency.service import Replay
from core.storage import Storage

Shape = TypeVar("Shape", bound=BaseModel)

IdempotencyKeyDep = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        max_length=service.LONGEST_KEY,
        description="The same key and request again: the first answer again, with the header idempotent-replayed.",
    ),
]


@dataclass(frozen=True)
class Once:
    """A request that does its work in this session, at most once for its key; without a key, whenever it comes."""

    session: Session
    project_id: str | None
    key: str | None
    request_sha256: str

    @classmethod
    def begin(cls, session: Session, *, owner: Owner, key: str | None, request_sha256: str, wait: bool) -> "Once":
        """Raises what `core.idempotency.service.begin` does. An operator creates nothing that is not idempotent."""
        if key is not None and owner.project_id is not None:
            checked = service.check_key(key)
            service.begin(session, project_id=owner.project_id, key=checked, request_sha256=request_sha256, wait=wait)
        return cls(session, owner.project_id, key, request_sha256)

    def keep(self, answer: Shape) -> Shape:
        """Store the answer beside what it tells of, and hand it on."""
        if self.key is not None and self.project_id is not None:
            service.keep(
                self.session,
                project_id=self.project_id,
                key=self.key,
                request_sha256=self.request_sha256,
                response=answer.model_dump(mode="json"),
            )
        return answer


async def fingerprint(request: Request, body: BodyDep) -> str:
    """What makes a request with a JSON body this one; those that stream a body know it when they have seen it all."""
    return service.fingerprint(request.method, request.url.path, request.url.query, body)


FingerprintDep = Annotated[str, Depends(fingerprint)]


async def once(owner: OwnerDep, session: SessionDep, seen: FingerprintDep, key: IdempotencyKeyDep = None) -> Once:
    """For routes that do all their work in the request's one transaction."""
    if key is None:  # asks the database nothing
        return Once(session, owner.project_id, key, seen)
    return await run_in_threadpool(Once.begin, session, owner=owner, key=key, request_sha256=seen, wait=False)


OnceDep = Annotated[Once, Depends(once)]


@contextmanager
def committing_once(
    engine: Engine, storage: Storage, *, owner: Owner, key: str | None, request_sha256: str, object_key: str
) -> Iterator[Once]:
    """The transaction that gives a streamed object its row; an object that gets none, because the request is refused
    or has been answered before, is removed.

    After an error of the database the object stays: the commit may have happened all the same. What no row points to
    is garbage.
    """
    try:
        with session_scope(engine) as session:
            yield Once.begin(session, owner=owner, key=key, request_sha256=request_sha256, wait=True)
    except (TunesmithError, Replay):
        storage.delete(object_key)
        raise
