from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import OwnerDep, SessionDep
from api.schemas.page import ListPage
from api.schemas.usage import UsageObject
from api.validation import one_of
from core.usage import repository

router = APIRouter(prefix="/usage", tags=["usage"])
# Unix seconds, until the year 9999.
Moment = Annotated[int | None, Query(ge=0, le=253_402_300_799)]


@router.get("")
def usage(
    owner: OwnerDep,
    session: SessionDep,
    start_time: Moment = None,
    end_time: Moment = None,
    group_by: Annotated[str, Query(max_length=100)] = "project,model,day",
) -> ListPage[UsageObject]:
    """What jobs have cost, by any of project, key, model and day (UTC, of their creation).

    Jobs are counted that were created at or after `start_time` and before `end_time`, running ones with what they
    have used so far.
    """
    names = [name.strip() for name in group_by.split(",") if name.strip()]
    for name in names:
        one_of("group_by", name, repository.GROUPS)
    rows = repository.sums(session, owner=owner, group_by=names, start=_time(start_time), end=_time(end_time))
    return ListPage(data=[UsageObject.of(row) for row in rows])


def _time(seconds: int | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
