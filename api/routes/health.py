from typing import Any

from fastapi import APIRouter, Response
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from api.deps import EngineDep, StorageDep
from core.storage import STORE_ERRORS

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> dict[str, str]:
    """The process answers. Says nothing of the services behind it: restarting would not mend those."""
    # A coroutine: it answers while every thread waits for one of them, too.
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A service does not answer."}})
def ready(engine: EngineDep, storage: StorageDep, response: Response) -> dict[str, Any]:
    """Requests can be served: database and object store answer. The broker is only a doorbell and does not count."""
    checks = {"database": "ok", "storage": "ok"}
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError as error:
        checks["database"] = type(error).__name__
    try:
        storage.check()
    except STORE_ERRORS as error:
        checks["storage"] = type(error).__name__
    ok = set(checks.values()) == {"ok"}
    response.status_code = 200 if ok else 503
    return {"status": "ok" if ok else "unavailable", "checks": checks}
