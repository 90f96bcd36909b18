"""A small deployment with every kind of object that rows point to, each really in the store."""

from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine, select

from core.access.owner import Owner
from core.db import session_scope
from core.files import claims as validations
from core.files import service as files
from core.files.report import SKETCH_VERSION, sketch_key
from core.ids import new_id
from core.jobs import claims, publishing
from core.models import File, Job, Organization
from core.settings import Settings
from core.specs.file import UploadSpec
from core.specs.run import CheckpointEvent, RunResult
from core.storage import MANIFEST, Entry, Storage
from core.uploads import service as uploads
from tests.core.factories import make_job


@dataclass
class World:
    """keys: of objects that rows point to. fresh: of those that a running attempt may still publish."""

    engine: Engine
    storage: Storage
    owner: Owner
    folder: Path
    organization: str = ""
    keys: set[str] = field(default_factory=set)
    fresh: set[str] = field(default_factory=set)

    def put(self, key: str, content: bytes = b"bytes") -> Entry:
        path = self.folder / "put"
        path.write_bytes(content)
        return self.storage.put_file(key, path)

    def put_folder(self, prefix: str, *names: str) -> publishing.Folder:
        source = self.folder / new_id("folder-")
        source.mkdir()
        for name in names:
            (source / name).write_text(name)
        return publishing.Folder(prefix, self.storage.put_folder(prefix, source))

    def there(self) -> set[str]:
        """The organisation's objects."""
        found, after = set[str](), ""
        while page := self.storage.page(f"orgs/{self.organization}/", after=after):
            found |= {stored.key for stored in page}
            after = page[-1].key
        return found


def make_world(engine: Engine, storage: Storage, settings: Settings, owner: Owner, folder: Path) -> World:
    """A validated file, a pending upload, a job that has succeeded after it lost an attempt, and one that runs."""
    world = World(engine, storage, owner, folder)
    with session_scope(engine) as session:
        world.organization = session.scalars(select(Organization.id)).one()
    file_id = _file(world)
    _upload(world, settings)
    _succeeded(world, file_id)
    _running(world)
    return world


def _file(world: World) -> str:
    with session_scope(world.engine) as session:
        file_id, key = files.new_object_key(session, owner=world.owner)
        stored = Entry("rows.jsonl", 4, world.put(key, b"rows").sha256)
        files.create(
            session, owner=world.owner, file_id=file_id, filename="rows.jsonl", purpose="fine-tune", stored=stored,
            object_key=key,
        )  # fmt: skip
        file = validations.claim(session, lease=60)
        assert file is not None
        session.flush()
        session.refresh(file)
        sketch = world.put(sketch_key(key), b"sketch")
        report = {"sketch": {"version": SKETCH_VERSION, "bytes": sketch.bytes, "sha256": sketch.sha256}}
        validations.finish(session, token=file.token or 0, lease=60, rows=1, fault=None, report=report)
    world.keys |= {key, sketch_key(key)}
    return file_id


def _upload(world: World, settings: Settings) -> None:
    spec = UploadSpec(filename="a.jsonl", purpose="fine-tune", bytes=5, mime_type="text/jsonl")
    with session_scope(world.engine) as session:
        upload = uploads.create(session, owner=world.owner, settings=settings, spec=spec)
        part_id, key = uploads.new_part(session, owner=world.owner, upload_id=upload.id)
        uploads.add_part(
            session, owner=world.owner, upload_id=upload.id, part_id=part_id, stored=world.put(key), object_key=key
        )
    world.keys.add(key)


def _claimed(world: World) -> tuple[str, int, str]:
    """(job, token, prefix of what the attempt uploads)"""
    with session_scope(world.engine) as session:
        job = claims.claim(session, worker_id="w", devices=0, lease=3600)
        assert job is not None
        session.flush()
        return job.id, job.token or 0, f"orgs/{world.organization}/jobs/{job.id}/attempts/{job.token}/"


def _succeeded(world: World, file_id: str) -> None:
    with session_scope(world.engine) as session:
        job = make_job(session, world.owner)
        # The factory's own file has no object.
        placeholder = session.get_one(File, job.training_file_id)
        job.training_file_id = file_id
        session.flush()
        session.delete(placeholder)
    job_id, token, prefix = _claimed(world)
    checkpoint = world.put_folder(f"{prefix}checkpoints/step-1/", "adapter_model.safetensors", "progress.json")
    event = CheckpointEvent(step=1, path="checkpoints/step-1", trained_tokens=1, metrics={})
    with session_scope(world.engine) as session:
        publishing.publish_checkpoint(session, token=token, lease=60, event=event, folder=checkpoint)
        publishing.stopped(session, token=token, lease=60)
    job_id, token, prefix = _claimed(world)
    artifacts = world.put_folder(f"{prefix}artifacts/", "adapter_model.safetensors", "results.csv")
    result = RunResult(outcome="succeeded", step=2, trained_tokens=2)
    with session_scope(world.engine) as session:
        publishing.succeed(session, token=token, lease=60, result=result, folder=artifacts, results_name="results.csv")
        assert session.get_one(Job, job_id).status == "succeeded"
    for folder in (checkpoint, artifacts):
        world.keys |= {f"{folder.prefix}{name}" for name in (*(entry.name for entry in folder.entries), MANIFEST)}


def _running(world: World) -> None:
    """It has uploaded a checkpoint that it has not published yet."""
    with session_scope(world.engine) as session:
        job = make_job(session, world.owner)
        placeholder = session.get_one(File, job.training_file_id)
        job.training_file_id = session.scalars(
            select(File.id).where(File.filename == "rows.jsonl", File.rows == 1)
        ).one()
        session.flush()
        session.delete(placeholder)
    _, _, prefix = _claimed(world)
    world.put(f"{prefix}checkpoints/step-1/adapter_model.safetensors")
    world.fresh.add(f"{prefix}checkpoints/step-1/adapter_model.safetensors")
