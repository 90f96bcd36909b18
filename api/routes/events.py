from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from api.deps import After, OwnerDep, SessionDep
from api.schemas.job import AttemptObject, EventObject, LogObject, MetricsObject, Series
from api.schemas.page import ListPage
from core.errors import InvalidRequest
from core.jobs import repository
from core.jobs.series import series

router = APIRouter(prefix="/fine_tuning/jobs", tags=["fine-tuning"])
Limit = Annotated[int | None, Query(ge=1, le=100, description="Items a page; 20 where it is left out.")]
STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}


@router.get("/{job_id}/events", response_model=ListPage[EventObject], responses=STREAM)
def list_events(
    job_id: str,
    request: Request,
    owner: OwnerDep,
    session: SessionDep,
    after: After = None,
    limit: Limit = None,
    type: Annotated[Literal["message", "metrics"] | None, Query(description="Those alone; both: left out.")] = None,
    stream: bool = False,
    last_event_id: Annotated[str | None, Header(max_length=20)] = None,
) -> Any:
    """What happened, newest first.

    With `stream=true` server-sent events instead, oldest first, from the one behind `Last-Event-ID` on, as they happen,
    until the job has ended.
    """
    job = repository.get(session, owner=owner, job_id=job_id)
    if not stream:
        page = repository.events(session, job=job, after=after, limit=limit or 20, type=type)
        return ListPage[EventObject](data=[EventObject.of(event) for event in page.items], has_more=page.has_more)
    for name, value in (("after", after), ("limit", limit), ("type", type)):
        if value is not None:
            words = "not with stream=true, which has all events from behind Last-Event-ID on"
            raise InvalidRequest(f"{name}: {words}", param=name)
    cursor = _cursor(last_event_id, last=job.event_seq)
    frames = request.app.state.event_streams.frames(
        job.id, key_id=owner.key_id, cursor=cursor, seq=job.event_seq, status=job.status
    )
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(frames, media_type="text/event-stream", headers=headers)


def _cursor(last_event_id: str | None, *, last: int) -> int:
    """The number after which a stream begins. One that is yet to come would leave out what comes before it."""
    if not last_event_id:
        return 0
    if not (last_event_id.isascii() and last_event_id.isdigit()) or int(last_event_id) > last:
        raise InvalidRequest(
            f"Last-Event-ID: must be the number of an event of this job, 0 to {last}; given {last_event_id!r}",
            param="Last-Event-ID",
        )
    return int(last_event_id)


@router.get("/{job_id}/metrics")
def job_metrics(
    job_id: str,
    owner: OwnerDep,
    session: SessionDep,
    names: Annotated[
        str | None, Query(max_length=1000, description="Which figures, separated by commas; all where left out.")
    ] = None,
    max_points: Annotated[int, Query(ge=2, le=10_000)] = 1000,
) -> MetricsObject:
    """Figures over steps, each series thinned to `max_points` such that it looks the same (LTTB)."""
    job = repository.get(session, owner=owner, job_id=job_id)
    rows = repository.metrics(session, job=job)
    wanted = [name.strip() for name in names.split(",")] if names is not None else None
    found = series(rows, names=wanted, max_points=max_points)
    return MetricsObject(
        job_id=job.id, series={name: Series(steps=steps, values=values) for name, (steps, values) in found.items()}
    )


@router.get("/{job_id}/attempts")
def list_attempts(
    job_id: str,
    owner: OwnerDep,
    session: SessionDep,
    after: Annotated[int | None, Query(ge=0, le=2**62)] = None,
    limit: Limit = None,
) -> ListPage[AttemptObject]:
    """Workers' tries at the job, the latest first."""
    job = repository.get(session, owner=owner, job_id=job_id)
    page = repository.attempts(session, job=job, after=after, limit=limit or 20)
    return ListPage.of([AttemptObject.of(*item) for item in page.items], has_more=page.has_more)


@router.get("/{job_id}/logs")
def job_logs(
    job_id: str,
    owner: OwnerDep,
    session: SessionDep,
    after: Annotated[
        int | None, Query(ge=0, le=2**62, description="The id of the last item of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    order: Annotated[Literal["asc", "desc"], Query(description="asc: the oldest first.")] = "asc",
) -> ListPage[LogObject]:
    """The trainer's own output over all attempts; paths of the host are masked."""
    job = repository.get(session, owner=owner, job_id=job_id)
    page = repository.logs(session, job=job, after=after, limit=limit, descending=order == "desc")
    data = [LogObject.of(chunk) for chunk in page.items]
    return ListPage(
        data=data,
        has_more=page.has_more,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
    )
