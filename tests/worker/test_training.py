"""What ends an attempt outside of its trainer: nothing is silent, and nothing goes on for ever."""

import multiprocessing
import os
import time
from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db import session_scope
from core.jobs import claims
from core.models import Attempt, File, Job
from core.registry.catalogue import CatalogueEntry, load_catalogue
from core.settings import PACKAGED_CATALOGUE
from core.specs.job import JobSpec
from core.storage import STORE_ERRORS
from tests.conftest import ProjectKey
from tests.core.factories import make_file, make_job
from tests.disks import fill, small_disk
from worker import inputs, training
from worker.context import Context
from worker.inputs import UnpreparedModel, fetch, prepare_model, read_assignment
from worker.patience import GivenUp
from worker.slots import Slot


def never() -> bool:
    return False


def store(context: Context, session: Session, file_id: str, tmp_path: Path) -> None:
    path = tmp_path / file_id
    path.write_text(file_id)
    file = session.get_one(File, file_id)
    stored = context.storage.put_file(file.object_key, path)
    file.bytes, file.sha256 = stored.bytes, stored.sha256
    session.flush()


@pytest.mark.usefixtures("base_model")
def test_inputs_are_fetched_again_when_a_later_one_failed(
    context: Context, session: Session, project: ProjectKey, tmp_path: Path
) -> None:
    valid = make_file(session, project.owner)
    job = make_job(session, project.owner, validation_file=valid.id)
    store(context, session, job.training_file_id, tmp_path)
    assignment = read_assignment(session, job, token=job.token or 0, organization_id="org")
    with pytest.raises(STORE_ERRORS):
        fetch(context, assignment, tmp_path / "run", devices=[], given_up=never)
    store(context, session, valid.id, tmp_path)
    assignment = read_assignment(session, job, token=job.token or 0, organization_id="org")
    spec = fetch(context, assignment, tmp_path / "run", devices=[], given_up=never)
    assert Path(spec.training_file).read_text() == job.training_file_id
    assert Path(spec.validation_file or "").read_text() == valid.id


def test_a_job_that_cannot_be_read_does_not_block_the_queue(context: Context, project: ProjectKey) -> None:
    with session_scope(context.engine) as session:
        broken = make_job(session, project.owner).id
        other = make_job(session, project.owner).id
        session.execute(update(Job).where(Job.id == broken).values(spec={"suffix": None}))
    for _ in range(context.settings.max_faults):
        assert training.run_next(context, Slot())
    with session_scope(context.engine) as session:
        job = session.get_one(Job, broken)
        assert (job.status, (job.error or {})["code"], job.losses) == ("failed", "unreadable_spec", 0)
        assert set(session.scalars(select(Attempt.outcome))) == {"fault"}
        claimed = claims.claim(session, worker_id="w", devices=0, lease=60)
        assert claimed is not None
        assert claimed.id == other


@pytest.mark.usefixtures("base_model")
def test_what_the_store_refuses_is_a_fault_at_once(context: Context, project: ProjectKey) -> None:
    with session_scope(context.engine) as session:
        job_id = make_job(session, project.owner).id  # its file is in no store
    assert training.run_next(context, Slot(devices=[3]))
    with session_scope(context.engine) as session:
        job = session.get_one(Job, job_id)
        assert (job.status, job.faults, job.losses) == ("queued", 1, 0)
        assert session.scalars(select(Attempt.gpus)).one() == 1  # from its beginning on
        assert job.status_reason == "The object store refuses the job's data: NoSuchKey"


@pytest.mark.parametrize(("gpus", "devices"), [(0, []), (1, [3]), (None, [3])])
def test_a_job_that_asked_for_no_gpu_gets_none(gpus: int | None, devices: list[int]) -> None:
    spec = JobSpec.model_validate({"model": "m", "training_file": "file-1", "resources": {"gpus": gpus}})
    assert training.devices_for(spec, Slot(devices=[3])) == devices


def test_an_initialization_gets_no_gpu() -> None:
    spec = JobSpec.model_validate({"training_file": "file-1", "method": {"type": "initialization"}})
    assert training.devices_for(spec, Slot(devices=[3])) == []


def entry(folder: Path) -> CatalogueEntry:
    return CatalogueEntry.model_validate({"id": "base", "public_id": "tests/base", "source": str(folder)})


@pytest.mark.parametrize("why", ["the worker leaves", "it takes too long"])
def test_a_preparation_that_hangs_is_killed(
    context: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    (tmp_path / "run").mkdir()
    os.mkfifo(tmp_path / "run" / "prepare.log")  # the child waits for a reader
    if why == "it takes too long":
        monkeypatch.setattr(inputs, "LONGEST_PREPARATION", 1)
    leaves = time.monotonic() + (1 if why == "the worker leaves" else 60)
    with pytest.raises(GivenUp if why == "the worker leaves" else UnpreparedModel):
        prepare_model(
            context, entry(tmp_path), tmp_path / "made", tmp_path / "run", given_up=lambda: time.monotonic() > leaves
        )
    assert multiprocessing.active_children() == []


def test_a_preparation_on_a_full_disk_is_no_fault_of_the_model(context: Context, tmp_path: Path) -> None:
    model = load_catalogue(PACKAGED_CATALOGUE).find("tiny-random-llama")
    assert model is not None
    with small_disk(tmp_path / "small", megabytes=4) as disk:
        (disk / "run").mkdir()
        fill(disk, leave=4096)  # for the child's orders, and not for what it has to say
        with pytest.raises(OSError, match="No space left"):
            prepare_model(context, model, disk / "made", disk / "run", given_up=never)


def test_the_owner_reads_no_path_of_the_host(context: Context, tmp_path: Path) -> None:
    for folder in ("run", "source"):
        (tmp_path / folder).mkdir()
    os.mkfifo(tmp_path / "source" / "config.json")  # which the error names
    with pytest.raises(UnpreparedModel) as raised:
        prepare_model(context, entry(tmp_path / "source"), tmp_path / "made", tmp_path / "run", given_up=never)
    assert "<source>/config.json" in raised.value.message
    assert str(tmp_path) not in raised.value.message
