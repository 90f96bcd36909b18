"""`uvicorn benchmarks.bare:app`: the same SQL as our routes, in FastAPI handlers without anything around them.

No key, no limits, no request id, no error envelope, no checks of the body beyond what FastAPI does by itself.
"""

import os
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.db import make_engine, session_scope
from core.jobs import repository, service
from core.models import ApiKey, Job, Project
from core.registry.catalogue import load_catalogue
from core.settings import get_settings
from core.specs.job import JobSpec

app = FastAPI()
engine = make_engine(get_settings())
catalogue = load_catalogue(get_settings().catalogue)
owner = Owner(key_id=os.environ["BARE_KEY_ID"], project_id=os.environ["BARE_PROJECT_ID"])


def get_session() -> Iterator[Session]:
    with session_scope(engine) as session:
        yield session


SessionDep = Annotated[Session, Depends(get_session, scope="function")]


@app.get("/v1/fine_tuning/jobs/{job_id}")
def retrieve(job_id: str, session: SessionDep) -> dict[str, Any]:
    job = repository.get(session, owner=owner, job_id=job_id)
    return {**_shape(session, job), "queue_position": repository.queue_position(session, job=job)}


@app.post("/v1/fine_tuning/jobs")
def create(spec: JobSpec, session: SessionDep) -> dict[str, Any]:
    return _shape(session, service.create(session, owner=owner, catalogue=catalogue, spec=spec, known={}))


def _shape(session: Session, job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "status": job.status,
        "model": job.model,
        "method": job.spec["method"],
        "organization_id": session.get_one(Project, job.project_id).organization_id,
        "created_by": session.get_one(ApiKey, job.api_key_id).name,
        "created_at": int(job.created_at.timestamp()),
    }
