"""`keep_checkpoints`: older ones are forgotten, and their objects go once nothing needs them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.db import session_scope
from core.ids import new_id
from core.jobs import claims, publishing
from core.jobs import repository as jobs
from core.models import Checkpoint, CheckpointPermission, Job, Model
from core.registry import permissions
from core.registry import repository as registry
from core.retention import retire
from core.settings import Settings
from core.specs.run import CheckpointEvent
from core.storage import Storage
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.stack import eventually


def running(session: Session, owner: Owner, **supervised: object) -> Job:
    made = make_job(session, owner, method={"type": "supervised", "supervised": supervised})
    job = claims.claim(session, worker_id="w", devices=0, lease=3600)
    assert job is made
    return job


def publish(session: Session, job: Job, storage: Storage, folder: Path, step: int) -> str:
    """Answers the prefix of its objects."""
    prefix = f"orgs/test/jobs/{job.id}/step-{step}/"
    (folder / "weights").write_bytes(b"x")
    stored = publishing.Folder(prefix, storage.put_folder(prefix, folder))
    event = CheckpointEvent(step=step, path=f"checkpoints/step-{step}", trained_tokens=1, metrics={})
    assert job.token is not None
    publishing.publish_checkpoint(session, token=job.token, lease=3600, event=event, folder=stored)
    session.flush()
    return prefix


def steps(session: Session, job: Job) -> list[int]:
    return sorted(session.scalars(select(Checkpoint.step).where(Checkpoint.job_id == job.id)))


def test_the_last_ones_stay_and_the_objects_of_the_others_go(
    engine: Engine, storage: Storage, settings: Settings, project: ProjectKey, tmp_path: Path
) -> None:
    with session_scope(engine) as session:
        job = running(session, project.owner, keep_checkpoints=2)
        prefixes = [publish(session, job, storage, tmp_path, step) for step in (1, 2)]
        session.add(
            CheckpointPermission(
                id=new_id("cp_"),
                checkpoint_id=session.scalars(select(Checkpoint.id).where(Checkpoint.step == 1)).one(),
                project_id=project.owner.project_id,
            )
        )
        session.flush()
        prefixes += [publish(session, job, storage, tmp_path, step) for step in (3, 4, 5)]
        assert steps(session, job) == [1, 4, 5]  # the first one was given to somebody
        latest = jobs.latest_checkpoint(session, job_id=job.id)
        assert latest is not None
        assert latest.step == 5
        names = dict(session.execute(select(Model.checkpoint_step, Model.name)).all())
        usable = {
            step for step, name in names.items() if registry.model_by_name(session, owner=project.owner, name=name)
        }
        assert usable == {1, 4, 5}

    def there() -> list[bool]:
        retire(engine, storage, settings)
        return [storage.manifest(prefix) is not None for prefix in prefixes]

    assert all(there())  # a job that is just being created may have read their models
    with session_scope(engine) as session:
        long_ago = func.now() - timedelta(seconds=registry.FORGOTTEN_SECONDS + 1)
        session.execute(update(Model).where(Model.deleted_at.is_not(None)).values(deleted_at=long_ago))
        started = make_job(session, project.owner)
        started.parent_model_id = session.scalars(select(Model.id).where(Model.checkpoint_step == 3)).one()
        started_id = started.id
    assert there() == [True, False, True, True, True]
    with session_scope(engine) as session:
        session.get_one(Job, started_id).status = "cancelled"
    assert there() == [True, False, False, True, True]
    with session_scope(engine) as session:
        assert registry.forgotten(session, limit=10) == []


def test_all_stay_where_nothing_is_said(engine: Engine, storage: Storage, project: ProjectKey, tmp_path: Path) -> None:
    with session_scope(engine) as session:
        job = running(session, project.owner)
        for step in (1, 2, 3):
            publish(session, job, storage, tmp_path, step)
        assert steps(session, job) == [1, 2, 3]


def test_a_checkpoint_that_is_being_shared_is_not_forgotten(
    engine: Engine, storage: Storage, project: ProjectKey, tmp_path: Path
) -> None:
    """Whoever shares it has it locked: what would forget it waits, and then sees the permission."""
    with session_scope(engine) as session:
        job = running(session, project.owner, keep_checkpoints=1)
        publish(session, job, storage, tmp_path, 1)
        job_id = job.id
    with session_scope(engine) as sharing, ThreadPoolExecutor() as pool:
        name = sharing.scalars(select(Model.name).where(Model.checkpoint_step == 1)).one()
        permissions.grant(sharing, owner=project.owner, checkpoint=name, project_ids=[project.project_id])

        def publish_next() -> None:
            with session_scope(engine) as session:
                publish(session, session.get_one(Job, job_id), storage, tmp_path, 2)

        published = pool.submit(publish_next)
        eventually(lambda: waits(engine), seconds=20, what="the other transaction waits")
        sharing.commit()
        published.result(20)
    with session_scope(engine) as session:
        assert steps(session, session.get_one(Job, job_id)) == [1, 2]


def waits(engine: Engine) -> bool:
    """In a transaction of its own: each sees the activity of one moment."""
    with session_scope(engine) as session:
        return bool(session.scalar(text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")))
