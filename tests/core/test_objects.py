"""Objects that no row points to are removed, and never anything else."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, event, func, select, update

from core.db import session_scope
from core.ids import new_id
from core.jobs import claims, publishing
from core.leases import Limits
from core.models import File, Job, Model
from core.objects.verdicts import judge
from core.ops import tallies
from core.retention import abort_unfinished, purge_deleted_files, sweep
from core.settings import Settings
from core.specs.run import CheckpointEvent
from core.storage import Storage, Stored
from tests.conftest import ProjectKey
from tests.core.stored import World, make_world


@pytest.fixture
def world(engine: Engine, storage: Storage, settings: Settings, project: ProjectKey, tmp_path: Path) -> World:
    return make_world(engine, storage, settings, project.owner, tmp_path)


def sweep_all(world: World, *, youngest: float = 0) -> None:
    after = sweep(world.engine, world.storage, after="", youngest=youngest)
    while after:
        after = sweep(world.engine, world.storage, after=after, youngest=youngest)


def garbage(world: World) -> set[str]:
    """What crashes leave."""
    root = f"orgs/{world.organization}"
    with session_scope(world.engine) as session:
        job_id = session.scalars(select(Job.id).where(Job.status == "succeeded")).one()
    keys = {
        f"{root}/files/{new_id('file-')}",
        f"{root}/files/{new_id('file-')}.sketch",
        f"{root}/uploads/{new_id('upload_')}/{new_id('part_')}",
        f"{root}/jobs/{job_id}/attempts/1/checkpoints/step-9/adapter_model.safetensors",
        f"{root}/jobs/{new_id('ftjob-')}/attempts/2/artifacts/results.csv",
    }
    for key in keys:
        world.put(key)
    return keys


def test_a_sweep_takes_what_no_row_points_to_and_nothing_else(world: World) -> None:
    left = garbage(world)
    others = [f"orgs/{new_id('org-')}/files/{new_id('file-')}", f"orgs/{world.organization}/notes.txt", "models/x"]
    for key in others:
        world.put(key)
    assert left < world.there()
    sweep_all(world)
    assert world.there() == world.keys | world.fresh | {others[1]}
    assert all(world.storage.size(key) == 5 for key in others)
    with session_scope(world.engine) as session:
        assert tallies.totals(session).counters["objects_removed", "orphan"] == len(left)


def test_what_is_young_stays(world: World) -> None:
    left = garbage(world)
    sweep_all(world, youngest=3600)
    assert left < world.there()


def lose(world: World) -> None:
    """The worker of the running job, for good."""
    with session_scope(world.engine) as session:
        session.execute(update(Job).where(Job.token.is_not(None)).values(lease_expires_at=func.now()))
    with session_scope(world.engine) as session:
        assert claims.reap(session, limits=Limits(lease=0, max_losses=1, max_faults=9)) == 1


def test_what_an_attempt_had_not_published_when_it_was_lost_goes(world: World) -> None:
    lose(world)
    sweep_all(world)
    assert world.there() == world.keys


def test_a_publication_between_the_listing_and_the_judgement_counts(world: World) -> None:
    """The page is older than the rows: whatever has been published since is known."""
    with session_scope(world.engine) as session:
        prefix = session.scalars(select(Model.prefix).where(Model.checkpoint_step.is_(None))).one()
    listed = world.storage.page(prefix)
    assert listed
    with session_scope(world.engine) as session:
        assert set(judge(session, listed, youngest=0)) == {"known"}
        moved = [Stored(stored.key.replace("/attempts/", "/attempts/9"), stored.bytes, 10.0) for stored in listed]
        assert set(judge(session, moved, youngest=0)) == {"orphaned"}
        assert set(judge(session, moved, youngest=11)) == {"fresh"}


def test_an_attempt_that_publishes_and_ends_while_it_is_judged_loses_nothing(world: World) -> None:
    with session_scope(world.engine) as session:
        job = session.scalars(select(Job).where(Job.token.is_not(None))).one()
        token, prefix = job.token or 0, f"orgs/{world.organization}/jobs/{job.id}/attempts/{job.token}/late/"
    folder = world.put_folder(prefix, "adapter_model.safetensors")
    event_of_it = CheckpointEvent(step=1, path="checkpoints/step-1", trained_tokens=1, metrics={})
    rows_read: list[str] = []

    @event.listens_for(world.engine, "after_cursor_execute")
    def publish(_: object, __: object, statement: str, *___: object) -> None:
        if "FROM models" not in statement or rows_read:
            return
        rows_read.append(statement)  # the rows are read, and know nothing of the folder
        with session_scope(world.engine) as session:
            publishing.publish_checkpoint(session, token=token, lease=60, event=event_of_it, folder=folder)
            publishing.stopped(session, token=token, lease=60)

    try:
        with session_scope(world.engine) as session:
            verdicts = judge(session, world.storage.page(prefix), youngest=0)
    finally:
        event.remove(world.engine, "after_cursor_execute", publish)
    assert rows_read
    assert set(verdicts) == {"fresh"}


def test_a_purged_file_leaves_nothing_that_a_late_validation_adds(world: World) -> None:
    lose(world)  # its job has failed, and needs the file no more
    with session_scope(world.engine) as session:
        session.execute(update(File).where(File.filename == "rows.jsonl").values(deleted_at=func.now()))
        key = session.scalars(select(File.object_key).where(File.filename == "rows.jsonl")).one()
    purge_deleted_files(world.engine, world.storage)
    assert world.storage.size(key) is None
    world.put(f"{key}.sketch")
    sweep_all(world)
    assert world.storage.size(f"{key}.sketch") is None


def test_uploads_that_nobody_finished_are_given_up(world: World) -> None:
    key = f"orgs/{world.organization}/files/{new_id('file-')}"
    begun = world.storage._client.create_multipart_upload(Bucket=world.storage.bucket, Key=key)
    ours = lambda: [upload.key for upload in world.storage.unfinished("orgs/") if upload.key == key]  # noqa: E731
    listed = world.storage._client.list_multipart_uploads(Bucket=world.storage.bucket, Prefix=key)
    assert "Initiated" in listed["Uploads"][0], "the store does not tell how old an upload is"  # pyright: ignore[reportTypedDictNotRequiredAccess]
    abort_unfinished(world.engine, world.storage, youngest=3600)
    assert ours() == [key]
    abort_unfinished(world.engine, world.storage, youngest=0)
    assert ours() == []
    assert begun["UploadId"]


def test_an_upload_of_an_attempt_at_work_is_not_given_up(world: World) -> None:
    with session_scope(world.engine) as session:
        job = session.scalars(select(Job).where(Job.token.is_not(None))).one()
        key = f"orgs/{world.organization}/jobs/{job.id}/attempts/{job.token}/artifacts/model.safetensors"
    world.storage._client.create_multipart_upload(Bucket=world.storage.bucket, Key=key)
    abort_unfinished(world.engine, world.storage, youngest=0)
    assert [upload.key for upload in world.storage.unfinished("orgs/") if upload.key == key] == [key]


def test_pages_go_through_a_prefix_in_order(world: World) -> None:
    keys = sorted(world.there())
    first = world.storage.page(f"orgs/{world.organization}/")
    assert [stored.key for stored in first] == keys
    rest = world.storage.page(f"orgs/{world.organization}/", after=keys[2])
    assert [stored.key for stored in rest] == keys[3:]
    assert world.storage.page(f"orgs/{world.organization}/", after=keys[-1]) == []
    assert all(0 <= stored.age < 600 for stored in first)
