"""What clients ask of uploads.

Completing one takes three steps, so that no transaction is open while bytes move: `plan` reads what is to be joined,
`join` makes one object of the parts, `complete` makes a file of that object where the upload still waits for it.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta

from sqlalchemy import func
from sqlalchemy.orm import Session

from core.access import repository as access
from core.access.owner import Owner
from core.access.service import require_project
from core.errors import InvalidRequest, InvalidState, NotFound
from core.files import service as files
from core.ids import new_id
from core.models import Upload, UploadPart
from core.settings import Settings
from core.specs.file import MOST_PARTS, CompletionSpec, UploadSpec
from core.storage import Entry, IntegrityError, Storage
from core.uploads import repository

# An upload that is being completed does not expire meanwhile: it gets at least this much time.
COMPLETING = timedelta(hours=1)


class WrongSize(InvalidRequest):
    code = "upload_size_mismatch"


class WrongDigest(InvalidRequest):
    code = "upload_md5_mismatch"


@dataclass(frozen=True)
class Plan:
    """How an upload becomes a file: the objects to join, and where to."""

    file_id: str
    object_key: str
    filename: str
    parts: list[tuple[str, Entry]]
    md5: str | None


@dataclass(frozen=True)
class Joined:
    """The one object that the parts have become."""

    entry: Entry
    md5: str


def create(session: Session, *, owner: Owner, settings: Settings, spec: UploadSpec) -> Upload:
    """Announce a file. Its parts have to come, and be completed, before the upload expires."""
    if spec.bytes > settings.upload_max_bytes:
        raise InvalidRequest(f"bytes: at most {settings.upload_max_bytes}; given {spec.bytes}", param="bytes")
    upload = Upload(
        id=new_id("upload_"),
        project_id=require_project(owner),
        filename=spec.filename,
        purpose=spec.purpose,
        bytes=spec.bytes,
        mime_type=spec.mime_type,
        status="pending",
        expires_at=func.now() + timedelta(seconds=settings.upload_seconds),
        file_expires_after=spec.expires_after.seconds if spec.expires_after else None,
    )
    session.add(upload)
    session.flush()
    return upload


def new_part(session: Session, *, owner: Owner, upload_id: str) -> tuple[str, str]:
    """An id for a part to come, and the key at which its bytes go.

    Raises:
        InvalidState: the upload takes no more parts.
    """
    upload = _pending(session, owner=owner, upload_id=upload_id, to="take parts")
    organization = access.organization_of_project(session, upload.project_id)
    part_id = new_id("part_")
    return part_id, f"orgs/{organization.id}/uploads/{upload.id}/{part_id}"


def add_part(
    session: Session, *, owner: Owner, upload_id: str, part_id: str, stored: Entry, object_key: str
) -> UploadPart:
    """Insert a part whose bytes are in the store.

    Raises:
        InvalidState: the upload has ended meanwhile.
        InvalidRequest: the part is empty, or there are too many.
    """
    upload = _pending(session, owner=owner, upload_id=upload_id, to="take parts", lock=True)
    count, size = repository.received(session, upload_id=upload.id)
    # A part may be sent again after its answer was lost, so that all of them together may hold the file twice.
    if not stored.bytes or count >= MOST_PARTS or size + stored.bytes > 2 * upload.bytes:
        raise InvalidRequest(
            f"data: a part holds 1 byte at least, an upload {MOST_PARTS} parts and twice its {upload.bytes} bytes at "
            f"most; given {stored.bytes} bytes after {count} parts with {size}",
            param="data",
        )
    part = UploadPart(id=part_id, upload_id=upload.id, bytes=stored.bytes, sha256=stored.sha256, object_key=object_key)
    session.add(part)
    session.flush()
    return part


def cancel(session: Session, *, owner: Owner, upload_id: str) -> Upload:
    """Give the upload up; the reconciler removes its parts. Cancelling again changes nothing.

    Raises:
        InvalidState: it is complete, or has expired.
    """
    upload = repository.get(session, owner=owner, upload_id=upload_id, lock=True)
    if upload.status != "cancelled":
        _require_pending(upload, to="be cancelled")
        upload.status = "cancelled"
    return upload


def plan(session: Session, *, owner: Owner, upload_id: str, spec: CompletionSpec) -> Plan | None:
    """What to join; None where the upload is complete already.

    Raises:
        InvalidState: it is cancelled, has expired, or was made of other parts.
        WrongDigest: it is complete, and the client's md5 is another.
        NotFound: it has no such part.
        InvalidRequest: a part is named twice.
        WrongSize: the parts do not sum up to what was announced.
    """
    upload = repository.get(session, owner=owner, upload_id=upload_id, lock=True)
    if upload.status == "completed":
        _require_same(upload, part_ids=spec.part_ids, md5=spec.md5)
        return None
    _require_pending(upload, to="be completed")
    found = repository.parts(session, upload_id=upload.id, ids=spec.part_ids)
    for at, part_id in enumerate(spec.part_ids):
        if part_id not in found:
            raise NotFound(f"part_ids.{at}: the upload has no part {part_id!r}", param=f"part_ids.{at}")
    if len(found) < len(spec.part_ids):
        raise InvalidRequest("part_ids: names a part twice", param="part_ids")
    parts = [found[part_id] for part_id in spec.part_ids]
    if (size := sum(part.bytes for part in parts)) != upload.bytes:
        raise WrongSize(f"part_ids: hold {size} bytes, but {upload.bytes} were announced", param="part_ids")
    upload.expires_at = func.greatest(Upload.expires_at, func.now() + COMPLETING)
    file_id, key = files.new_object_key(session, owner=_project_of(upload, owner))
    entries = [(part.object_key, Entry(part.id, part.bytes, part.sha256)) for part in parts]
    return Plan(file_id, key, upload.filename, entries, spec.md5)


def join(storage: Storage, plan: Plan) -> Joined:
    """Make one object of the parts, read it back, and answer what it holds. Memory: one part of the store's.

    Raises:
        WrongDigest: the client's md5 is another.
        IntegrityError: the store answers other bytes than it was given.
    """
    whole = hashlib.md5(usedforsecurity=False)
    with storage.writer(plan.object_key) as writer:
        for key, part in plan.parts:
            digest = hashlib.sha256()
            for chunk in storage.stream(key):
                for sink in (writer.write, whole.update, digest.update):
                    sink(chunk)
            if digest.hexdigest() != part.sha256:
                raise IntegrityError(
                    f"part {part.name} is not what was uploaded; send it again, and complete with that"
                )
        _check_md5(plan.md5, whole.hexdigest())
    stored = Entry(name=plan.filename, bytes=writer.bytes, sha256=writer.sha256)
    storage.confirm(plan.object_key, stored)
    return Joined(stored, whole.hexdigest())


def complete(session: Session, *, owner: Owner, upload_id: str, plan: Plan, joined: Joined) -> Upload:
    """Make a file of the joined object. Where another request was faster, its file stays the upload's only one.

    Raises:
        InvalidState: the upload was cancelled meanwhile, or completed with other parts.
    """
    part_ids = [part.name for _, part in plan.parts]
    upload = repository.get(session, owner=owner, upload_id=upload_id, lock=True)
    if upload.status == "completed":
        _require_same(upload, part_ids=part_ids, md5=plan.md5)
        return upload
    _require_pending(upload, to="be completed")
    file = files.create(
        session,
        owner=_project_of(upload, owner),
        file_id=plan.file_id,
        filename=upload.filename,
        purpose=upload.purpose,
        stored=joined.entry,
        object_key=plan.object_key,
        expires_after=upload.file_expires_after,
    )
    upload.status, upload.file_id = "completed", file.id
    upload.part_ids, upload.md5 = part_ids, joined.md5
    session.flush()
    return upload


def _require_same(upload: Upload, *, part_ids: list[str], md5: str | None) -> None:
    """A repetition is answered, anything else would be told that all is well."""
    if upload.part_ids is not None and upload.part_ids != part_ids:
        raise InvalidState(f"upload {upload.id} is completed, with other parts or in another order", param="part_ids")
    if upload.md5 is not None:
        _check_md5(md5, upload.md5)


def _check_md5(given: str | None, found: str) -> None:
    if given is not None and given.lower() != found:
        raise WrongDigest(f"md5: the parts make {found}, not {given.lower()}", param="md5")


def _project_of(upload: Upload, owner: Owner) -> Owner:
    """An operator acts for the project whose upload it is."""
    return replace(owner, project_id=upload.project_id)


def _pending(session: Session, *, owner: Owner, upload_id: str, to: str, lock: bool = False) -> Upload:
    upload = repository.get(session, owner=owner, upload_id=upload_id, lock=lock)
    _require_pending(upload, to=to)
    return upload


def _require_pending(upload: Upload, *, to: str) -> None:
    if upload.status != "pending":
        raise InvalidState(f"upload {upload.id} is {upload.status}: it can't {to}")
