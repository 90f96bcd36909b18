"""Which objects the rows of the database point to."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from core.files import claims as files
from core.files.report import sketch_key
from core.models import Artifact, Checkpoint, CheckpointPermission, File, Job, Model, Organization, Upload, UploadPart
from core.registry.repository import needed
from core.storage import MANIFEST

ROOT = "orgs/"
Kind = Literal["file", "sketch", "upload_part", "artifact", "checkpoint", "model"]
LOST = "its bytes are missing from the object store, or damaged there"
AT_ONCE = 1000  # rows of one fetch


@dataclass(frozen=True)
class Pointer:
    """A row, and one of the objects that it needs."""

    kind: Kind
    id: str
    key: str
    bytes: int

    def __str__(self) -> str:
        return f"{self.kind} {self.id}: {self.key}"


def known_organizations(session: Session, *, ids: set[str]) -> set[str]:
    """Those of them that this database has."""
    return set(session.scalars(select(Organization.id).where(Organization.id.in_(ids))))


def held_tokens(session: Session, *, jobs: set[str]) -> set[int]:
    """The tokens of the attempts that hold one of these jobs now."""
    held = select(Job.token).where(Job.id.in_(jobs), Job.token.is_not(None))
    return {token for token in session.scalars(held) if token is not None}


def pointed_to(session: Session, *, files: set[str], parts: set[str], jobs: set[str]) -> set[str]:
    """The keys that the rows of these files, parts and jobs point to."""
    keys = set(session.scalars(select(UploadPart.object_key).where(UploadPart.id.in_(parts))))
    for key in session.scalars(select(File.object_key).where(File.id.in_(files), File.purged_at.is_(None))):
        keys |= {key, sketch_key(key)}
    keys.update(session.scalars(select(Artifact.object_key).where(Artifact.job_id.in_(jobs))))
    for table in (Checkpoint, Model):
        for prefix, manifest in session.execute(select(table.prefix, table.manifest).where(table.job_id.in_(jobs))):
            keys |= folder_keys(prefix, manifest)
    return keys


def prefixes(session: Session) -> list[str]:
    """Where the objects of this database's organisations lie."""
    return [f"{ROOT}{id}/" for id in session.scalars(select(Organization.id).order_by(Organization.id))]


def folder_keys(prefix: str, manifest: list[dict[str, Any]]) -> set[str]:
    """The objects of a stored folder; none once it has been emptied."""
    names = [entry["name"] for entry in manifest]
    return {f"{prefix}{name}" for name in (*names, MANIFEST)} if names else set()


def pointers(session: Session) -> Iterator[Pointer]:
    """Every object that some row needs."""

    def rows(statement: Any) -> Any:
        return session.execute(statement, execution_options={"yield_per": AT_ONCE})

    for id, key, size, report in rows(
        select(File.id, File.object_key, File.bytes, File.report).where(File.purged_at.is_(None))
    ):
        yield Pointer("file", id, key, size)
        if sketch := (report or {}).get("sketch"):
            yield Pointer("sketch", id, sketch_key(key), sketch["bytes"])
    parts = select(UploadPart.id, UploadPart.object_key, UploadPart.bytes).join(Upload)
    for row in rows(parts.where(Upload.status == "pending")):
        yield Pointer("upload_part", *row)
    for row in rows(select(Artifact.id, Artifact.object_key, Artifact.bytes)):
        yield Pointer("artifact", *row)
    folders: list[tuple[Kind, Any]] = [
        ("checkpoint", select(Checkpoint.id, Checkpoint.prefix, Checkpoint.manifest)),
        ("model", select(Model.id, Model.prefix, Model.manifest).where(or_(Model.deleted_at.is_(None), needed()))),
    ]
    for kind, statement in folders:
        for id, prefix, manifest in rows(statement):
            for entry in manifest:
                yield Pointer(kind, id, f"{prefix}{entry['name']}", entry["bytes"])


def mark_lost(session: Session, pointer: Pointer) -> bool:
    """Nobody relies on the row any more; False where it has nothing to say that with."""
    match pointer.kind:
        case "file":
            files.give_up(session, file_id=pointer.id, reason=LOST)
        case "sketch":
            file = session.get_one(File, pointer.id, with_for_update=True)
            file.report = {key: value for key, value in (file.report or {}).items() if key != "sketch"}
        case "upload_part":
            session.execute(delete(UploadPart).where(UploadPart.id == pointer.id))
        case "checkpoint":
            session.execute(select(Checkpoint.id).where(Checkpoint.id == pointer.id).with_for_update())  # no new ones
            session.execute(delete(CheckpointPermission).where(CheckpointPermission.checkpoint_id == pointer.id))
            session.execute(delete(Checkpoint).where(Checkpoint.id == pointer.id))
        case "model":
            gone = update(Model).where(Model.id == pointer.id, Model.deleted_at.is_(None))
            session.execute(gone.values(deleted_at=func.now()))
            return session.scalar(select(Model.id).where(Model.id == pointer.id, needed())) is None
        case "artifact":
            return False
    return True
