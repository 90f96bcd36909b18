from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from api.deps import OwnerDep, SessionDep, SettingsDep
from api.monitoring import exposition
from api.schemas.ops import QueueObject, QueuePage, RunningAttempt, WorkerObject
from api.schemas.page import ListPage, unix
from core.access.owner import Owner
from core.errors import NotAllowed
from core.ops import repository
from core.overview.repository import unfinished
from core.workers import repository as workers


async def operator(owner: OwnerDep) -> Owner:
    """Raises NotAllowed for a project's key."""
    if owner.project_id is not None:
        raise NotAllowed("this route is for operator keys")
    return owner


OperatorDep = Annotated[Owner, Depends(operator)]
router = APIRouter(prefix="/ops", tags=["operations"])
metrics_router = APIRouter(tags=["operations"])


@router.get("/workers")
def list_workers(_: OperatorDep, session: SessionDep, settings: SettingsDep) -> ListPage[WorkerObject]:
    """The worker processes of the last day, and what they are at."""
    found = workers.seen_since(session, seconds=settings.lease_seconds)
    tokens = [token for worker, alive in found if alive for token in worker.current_attempts]
    attempts = repository.running(session, tokens=tokens)
    data = [
        WorkerObject(
            id=worker.id,
            queue=worker.queue,
            alive=alive,
            slots=worker.slots,
            devices=worker.devices,
            host=worker.host,
            memory_bytes=worker.resident_bytes,
            slot_memory_bytes=worker.memory_bytes,
            disk_bytes=worker.disk_bytes,
            disk_free_bytes=worker.disk_free_bytes,
            attempts=[
                RunningAttempt(attempt=token, job_id=attempts[token][0], seconds=attempts[token][1])
                for token in (worker.current_attempts if alive else [])
                if token in attempts  # validations have tokens too, but no row there
            ],
            started_at=unix(worker.started_at),
            last_seen=unix(worker.last_seen),
        )
        for worker, alive in found
    ]
    return ListPage(data=data)


@router.get("/queue")
def show_queue(owner: OperatorDep, session: SessionDep) -> QueuePage:
    """What waits for workers, and how many unfinished jobs are in which state."""
    found = repository.queues(session, owner=owner)
    data = [QueueObject(id=name, **asdict(queue)) for name, queue in found.items()]
    return QueuePage(data=data, jobs=unfinished(session, owner=owner))


@metrics_router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
def metrics(owner: OperatorDep, request: Request, session: SessionDep, settings: SettingsDep) -> Response:
    """For Prometheus: the deployment as the database knows it, and this process's requests."""
    text = exposition(request.app.state.request_metrics, session, owner=owner, lease=settings.lease_seconds)
    return Response(text, media_type=CONTENT_TYPE_LATEST)
