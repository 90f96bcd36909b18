"""Database and store compared, both ways: what is told, and what is mended."""

from pathlib import Path

import pytest
from sqlalchemy import Engine, select

from core.db import session_scope
from core.jobs import publishing
from core.jobs.repository import latest_checkpoint
from core.models import Artifact, Checkpoint, File, Job, Model, UploadPart
from core.objects.doctor import Report, WrongStore, examine, repair
from core.objects.repository import ROOT
from core.settings import Settings
from core.specs.run import CheckpointEvent
from core.storage import Storage
from embedded.doctor import consult
from tests.conftest import ProjectKey
from tests.core.factories import make_job
from tests.core.stored import World, make_world
from tests.embedded.test_stack import server


@pytest.fixture
def world(engine: Engine, storage: Storage, settings: Settings, project: ProjectKey, tmp_path: Path) -> World:
    return make_world(engine, storage, settings, project.owner, tmp_path)


def look(world: World) -> Report:
    return examine(world.engine, world.storage, youngest=0)


def fix(world: World) -> list[str]:
    left = repair(world.engine, world.storage, look(world), youngest=0)
    return [pointer.kind for pointer in left]


def test_a_deployment_where_all_is_well(world: World) -> None:
    report = look(world)
    assert report.healthy, report
    assert (report.objects, report.fresh) == (len(world.keys), len(world.fresh))


def test_every_object_that_is_missed_is_told_and_by_whom(world: World) -> None:
    told: dict[str, set[str]] = {}
    for key in sorted(world.keys):
        content = world.storage.open(key).read()
        world.storage.delete(key)
        report = look(world)
        told[key] = {pointer.kind for pointer in report.missing}
        assert all(pointer.key == key for pointer in report.missing), key
        world.put(key, content)
    unmissed = [key for key, kinds in told.items() if not kinds]
    assert all(key.endswith("/manifest.json") for key in unmissed), unmissed  # the rows hold what it says
    kinds = set().union(*told.values())
    assert kinds == {"file", "sketch", "upload_part", "artifact", "checkpoint", "model"}
    assert look(world).healthy


def test_an_object_of_another_size_is_damaged(world: World) -> None:
    with session_scope(world.engine) as session:
        key = session.scalars(select(Artifact.object_key).where(Artifact.name == "results.csv")).one()
    world.put(key, b"shorter")
    report = look(world)
    assert report.missing == []
    assert {pointer.kind for pointer in report.damaged} == {"artifact", "file", "model"}


def test_looking_changes_nothing_and_fixing_removes_orphans(world: World) -> None:
    orphan = f"orgs/{world.organization}/files/file-gone"
    world.put(orphan)
    assert [stored.key for stored in look(world).orphaned] == [orphan]
    young = examine(world.engine, world.storage, youngest=3600)
    assert (young.orphaned, young.fresh) == ([], 1 + len(world.fresh))
    assert world.storage.size(orphan) == 5
    assert fix(world) == []
    assert world.there() == world.keys | world.fresh


def test_rows_whose_objects_are_gone_are_marked_and_what_cannot_be_is_left(world: World) -> None:
    with session_scope(world.engine) as session:
        waiting = make_job(session, world.owner, file_status="uploaded")
        waiting_file = waiting.training_file_id  # its object was never there
        checkpoint, job_id = session.execute(select(Checkpoint.prefix, Checkpoint.job_id)).one()
        artifact = session.scalars(
            select(Artifact.object_key).where(Artifact.name == "adapter_model.safetensors")
        ).one()
        part = session.scalars(select(UploadPart.object_key)).one()
        sketched = session.scalars(select(File).where(File.report.is_not(None))).one()
        waiting_id = waiting.id
    for key in (f"{checkpoint}progress.json", artifact, part, f"{sketched.object_key}.sketch"):
        world.storage.delete(key)
    assert fix(world) == ["artifact"]
    with session_scope(world.engine) as session:
        file, job = session.get_one(File, waiting_file), session.get_one(Job, waiting_id)
        assert (file.status, "missing from the object store" in (file.status_details or "")) == ("error", True)
        assert (job.status, (job.error or {})["code"]) == ("failed", "invalid_file")
        assert latest_checkpoint(session, job_id=job_id) is None
        assert all(session.scalars(select(Model.deleted_at)))
        assert session.scalar(select(UploadPart.id)) is None
        assert session.get_one(File, sketched.id).report == {}
    assert fix(world) == ["artifact"]
    assert {pointer.kind for pointer in look(world).missing} == {"artifact"}


def test_a_step_whose_checkpoint_was_lost_is_published_again(world: World) -> None:
    with session_scope(world.engine) as session:
        job = session.scalars(select(Job).where(Job.token.is_not(None))).one()
        job_id, token = job.id, job.token or 0
    first, second = (f"orgs/{world.organization}/jobs/{job_id}/attempts/{token}/{name}/" for name in ("a", "b"))
    publish(world, token, world.put_folder(first, "adapter_model.safetensors"))
    world.storage.delete(f"{first}adapter_model.safetensors")
    assert fix(world) == []
    publish(world, token, world.put_folder(second, "adapter_model.safetensors"))
    with session_scope(world.engine) as session:
        checkpoint = latest_checkpoint(session, job_id=job_id)
        assert checkpoint
        assert checkpoint.prefix == second
        model = session.scalars(select(Model).where(Model.job_id == job_id)).one()
        assert (model.prefix, model.deleted_at) == (second, None)
    assert look(world).missing == []


def publish(world: World, token: int, folder: publishing.Folder) -> None:
    event = CheckpointEvent(step=1, path="checkpoints/step-1", trained_tokens=1, metrics={})
    with session_scope(world.engine) as session:
        publishing.publish_checkpoint(session, token=token, lease=60, event=event, folder=folder)


def test_a_model_that_was_deleted_is_missed_while_a_job_needs_it(world: World) -> None:
    with session_scope(world.engine) as session:
        model = session.scalars(select(Model).where(Model.checkpoint_step == 1)).one()
        session.scalars(select(Job).where(Job.token.is_not(None))).one().parent_model_id = model.id
        prefix = model.prefix
    world.storage.delete(f"{prefix}progress.json")
    assert fix(world) == ["model"]
    assert [pointer.kind for pointer in look(world).missing] == ["model"]


def test_an_empty_store_is_the_wrong_one(world: World, settings: Settings) -> None:
    empty = Storage(settings.model_copy(update={"s3_bucket": "tunesmith-empty"}))
    empty.ensure_bucket()
    assert empty.page(ROOT) == []
    report = examine(world.engine, empty, youngest=0)
    assert len(report.missing) > len(world.keys) / 2
    with pytest.raises(WrongStore):
        repair(world.engine, empty, report, youngest=0)
    assert look(world).healthy


def test_what_it_prints(world: World, settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    settings = settings.model_copy(update={"orphan_seconds": 0})
    orphan = f"orgs/{world.organization}/files/file-gone"
    world.put(orphan)
    with session_scope(world.engine) as session:
        part_id, part = session.execute(select(UploadPart.id, UploadPart.object_key)).one()
    world.storage.delete(part)
    assert not consult(settings, fix=False)
    printed = capsys.readouterr().out
    assert f"orphaned    {orphan} (5 bytes)\n" in printed
    assert f"missing     upload_part {part_id}: {part}\n" in printed
    assert "1 orphaned, 0 unfinished, 1 missing, 0 damaged\n" in printed
    assert consult(settings, fix=True)
    assert consult(settings, fix=False)


def test_its_exit_status(world: World, settings: Settings, storage: Storage) -> None:
    secret = settings.s3_secret_access_key
    env = {
        "TUNESMITH_DATABASE_URL": settings.database_url,
        "TUNESMITH_S3_ENDPOINT_URL": settings.s3_endpoint_url or "",
        "TUNESMITH_S3_ACCESS_KEY_ID": settings.s3_access_key_id or "",
        "TUNESMITH_S3_SECRET_ACCESS_KEY": secret.get_secret_value() if secret else "",
    }
    well = server("doctor", **env)
    assert (well.returncode, f"{len(world.keys)} objects that rows point to" in well.stdout) == (0, True), well.stderr
    with session_scope(world.engine) as session:
        part = session.scalars(select(UploadPart.object_key)).one()
    storage.delete(part)
    amiss = server("doctor", **env)
    assert (amiss.returncode, part in amiss.stdout) == (1, True), amiss.stderr
    mended = server("doctor", "--fix", **env)
    assert mended.returncode == 0, mended.stdout + mended.stderr
    away = server("doctor", **env | {"TUNESMITH_S3_ENDPOINT_URL": "http://127.0.0.1:9"})
    assert (away.returncode, "Traceback" in away.stderr) == (2, False), away.stderr
