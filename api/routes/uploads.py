from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from api.body import described_by, json_body
from api.deps import EngineDep, OwnerDep, SessionDep, SettingsDep, StorageDep
from api.multipart import receive, writing
from api.once import FingerprintDep, IdempotencyKeyDep, Once, OnceDep, committing_once
from api.schemas.upload import UploadObject, UploadPartObject
from api.validation import UnknownKey
from core.access.owner import Owner
from core.db import session_scope
from core.idempotency.service import fingerprint
from core.models import File, Upload
from core.specs.file import CompletionSpec, UploadSpec
from core.storage import Entry
from core.uploads import repository, service

router = APIRouter(prefix="/uploads", tags=["uploads"])
FORM = {
    "type": "object",
    "required": ["data"],
    "additionalProperties": False,
    "properties": {"data": {"type": "string", "format": "binary", "minLength": 1}},
}


@router.post("", openapi_extra=described_by(UploadSpec))
def create_upload(
    spec: Annotated[UploadSpec, Depends(json_body(UploadSpec))],
    owner: OwnerDep,
    session: SessionDep,
    settings: SettingsDep,
    once: OnceDep,
) -> UploadObject:
    """Announce a large file, which then comes in parts of at most 64 MiB."""
    return once.keep(UploadObject.of(service.create(session, owner=owner, settings=settings, spec=spec)))


@router.get("/{upload_id}")
def retrieve_upload(upload_id: str, owner: OwnerDep, session: SessionDep) -> UploadObject:
    """One upload, and the file that it became."""
    return _shown(session, repository.get(session, owner=owner, upload_id=upload_id))


@router.post(
    "/{upload_id}/parts",
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}},
)
async def add_part(
    upload_id: str,
    request: Request,
    owner: OwnerDep,
    engine: EngineDep,
    storage: StorageDep,
    settings: SettingsDep,
    idempotency_key: IdempotencyKeyDep = None,
) -> UploadPartObject:
    """Add bytes. Parts may come in any order and at the same time: completing names the order that counts."""
    part_id, key = await run_in_threadpool(_reserve, engine, owner, upload_id)
    async with writing(storage, key) as writer:
        form = await receive(
            request, writer, name="data", max_bytes=settings.upload_part_max_bytes, needs_filename=False
        )
        _refuse_other(form.fields)
    stored = Entry(name=part_id, bytes=writer.bytes, sha256=writer.sha256)
    await run_in_threadpool(storage.confirm, key, stored)

    def insert() -> UploadPartObject:
        seen = fingerprint("POST /v1/uploads/parts", upload_id, stored.sha256)
        with committing_once(
            engine, storage, owner=owner, key=idempotency_key, request_sha256=seen, object_key=key
        ) as once:
            part = service.add_part(
                once.session, owner=owner, upload_id=upload_id, part_id=part_id, stored=stored, object_key=key
            )
            return once.keep(UploadPartObject.of(part))

    return await run_in_threadpool(insert)


def _reserve(engine: Engine, owner: Owner, upload_id: str) -> tuple[str, str]:
    with session_scope(engine) as session:
        return service.new_part(session, owner=owner, upload_id=upload_id)


def _refuse_other(fields: dict[str, str]) -> None:
    for name in fields:
        raise UnknownKey(f"{name}: unknown field; allowed here: data", param=name)


@router.post("/{upload_id}/complete", openapi_extra=described_by(CompletionSpec))
def complete_upload(
    upload_id: str,
    spec: Annotated[CompletionSpec, Depends(json_body(CompletionSpec))],
    owner: OwnerDep,
    engine: EngineDep,
    storage: StorageDep,
    seen: FingerprintDep,
    idempotency_key: IdempotencyKeyDep = None,
) -> UploadObject:
    """Make a file of the parts, in the order in which they are named. Repeating it answers the same file."""
    with session_scope(engine) as session:
        once = Once.begin(session, owner=owner, key=idempotency_key, request_sha256=seen, wait=True)
        plan = service.plan(session, owner=owner, upload_id=upload_id, spec=spec)
        if plan is None:
            return once.keep(_shown(session, repository.get(session, owner=owner, upload_id=upload_id)))
    # No transaction, and so no hold on the key, while bytes move: of two at once the second finds the first one's file.
    joined = service.join(storage, plan)
    with committing_once(
        engine, storage, owner=owner, key=idempotency_key, request_sha256=seen, object_key=plan.object_key
    ) as once:
        upload = service.complete(once.session, owner=owner, upload_id=upload_id, plan=plan, joined=joined)
        answer = once.keep(_shown(once.session, upload))
    if upload.file_id != plan.file_id:
        storage.delete(plan.object_key)
    return answer


@router.post("/{upload_id}/cancel")
def cancel_upload(upload_id: str, owner: OwnerDep, session: SessionDep) -> UploadObject:
    """Give the upload up."""
    return _shown(session, service.cancel(session, owner=owner, upload_id=upload_id))


def _shown(session: Session, upload: Upload) -> UploadObject:
    file = session.get_one(File, upload.file_id) if upload.file_id else None
    return UploadObject.of(upload, file=file if file and file.deleted_at is None else None)
