from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import OwnerDep, SessionDep, SettingsDep, StorageDep
from api.schemas.overview import FailureObject, OverviewObject, OwnQueue, ProjectUsage, Services
from core.overview import repository, services

router = APIRouter(tags=["overview"])


@router.get("/overview")
def show_overview(
    owner: OwnerDep,
    session: SessionDep,
    settings: SettingsDep,
    storage: StorageDep,
    hours: Annotated[int, Query(ge=1, le=31 * 24)] = 24,
) -> OverviewObject:
    """How things stand: the project's jobs, or an operator's view of all, what ended and failed within so many hours,
    what was used within them, and whether the services answer.

    Use is what attempts have been charged, up to the last heartbeat of those that run. Of an attempt that began before
    these hours it is the share of its time that lies within: a mean.
    """
    # Before the first query: the database must not wait for the others within a transaction.
    asked = Services(database="ok", broker=services.broker(settings), storage=services.store(storage))
    depth, oldest_wait = repository.queue(session, owner=owner)
    return OverviewObject(
        hours=hours,
        jobs=repository.unfinished(session, owner=owner),
        finished=repository.finished(session, owner=owner, hours=hours),
        failures=[FailureObject.of(found) for found in repository.failures(session, owner=owner, hours=hours)],
        queue=OwnQueue(depth=depth, oldest_wait=oldest_wait),
        usage=[ProjectUsage(**asdict(row)) for row in repository.usage(session, owner=owner, hours=hours)],
        services=asked,
    )
