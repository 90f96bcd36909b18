"""Rows for tests, made through the services that make them in production."""

from sqlalchemy import select
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.files import service as files
from core.ids import new_id
from core.jobs import claims, prompt_checks, publishing
from core.jobs import service as jobs
from core.models import File, Job, Model
from core.registry.catalogue import load_catalogue
from core.settings import PACKAGED_CATALOGUE
from core.specs.job import JobSpec
from core.specs.run import CheckpointEvent, RunResult
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
    return _create(session, owner, {"model": "tiny-random-llama", "training_file": file.id, **spec})


def _create(session: Session, owner: Owner, spec: dict[str, object]) -> Job:
    """Where it has prompts, nothing is wrong with them."""
    body, catalogue = JobSpec.model_validate(spec), load_catalogue(PACKAGED_CATALOGUE)
    job = jobs.create(session, owner=owner, catalogue=catalogue, spec=body, known={})
    if claimed := prompt_checks.claim(session, lease=60):
        prompt_checks.finish(session, token=claimed[0], lease=60, error=None)
    return job


def make_checkpoint(session: Session, owner: Owner, **spec: object) -> str:
    """A running job with a published checkpoint; answers the checkpoint's model name. No other job may be claimable."""
    made = make_job(session, owner, **spec)
    job = claims.claim(session, worker_id="w", devices=0, lease=3600)
    assert job is made
    assert job.token is not None
    publishing.publish_checkpoint(
        session,
        token=job.token,
        lease=3600,
        event=CheckpointEvent(step=2, path="checkpoints/step-2", trained_tokens=1, metrics={}),
        folder=publishing.Folder(f"orgs/test/jobs/{job.id}/", [Entry("adapter_model.safetensors", 1, "0" * 64)]),
    )
    session.flush()
    return session.scalars(select(Model.name).where(Model.job_id == job.id)).one()


def make_model(session: Session, owner: Owner, *, folder: publishing.Folder | None = None, **spec: object) -> str:
    """What a job of this spec yielded; answers the model's name. No other job may be claimable."""
    _create(session, owner, {"training_file": make_file(session, owner).id, **spec})
    job = claims.claim(session, worker_id="w", devices=0, lease=3600)
    assert job is not None
    assert job.token is not None
    entries = [Entry(name, 1, "0" * 64) for name in ("adapter_model.safetensors", "tokenizer.json", "facts.json")]
    publishing.succeed(
        session,
        token=job.token,
        lease=3600,
        result=RunResult(outcome="succeeded", step=1, trained_tokens=1),
        folder=folder or publishing.Folder(f"orgs/test/jobs/{job.id}/artifacts/", entries),
        results_name="results.csv",
    )
    session.flush()
    assert job.fine_tuned_model is not None
    return job.fine_tuned_model
