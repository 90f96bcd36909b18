"""Rows for tests, made through the services that make them in production."""

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.files import service as files
from core.ids import new_id
from core.jobs import service as jobs
from core.models import File, Job
from core.registry.catalogue import load_catalogue
from core.settings import PACKAGED_CATALOGUE
from core.specs.job import JobSpec
from core.storage import Entry


def make_file(session: Session, owner: Owner, *, status: str = "processed") -> File:
    file_id = new_id("file-")
    file = files.create(
        session,
        owner=owner,
        file_id=file_id,
        filename="rows.jsonl",
        purpose="fine-tune",
        stored=Entry("rows.jsonl", 3, "0" * 64),
        object_key=f"orgs/test/files/{file_id}",
    )
    file.status = status
    session.flush()
    return file


def make_job(session: Session, owner: Owner, *, file_status: str = "processed", **spec: object) -> Job:
    file = make_file(session, owner, status=file_status)
    body = JobSpec.model_validate({"model": "tiny-random-llama", "training_file": file.id, **spec})
    return jobs.create(session, owner=owner, catalogue=load_catalogue(PACKAGED_CATALOGUE), spec=body)
