from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy import Engine

from api.deps import After, EngineDep, OwnerDep, SessionDep, SettingsDep, StorageDep
from api.multipart import Upload, UploadParser
from api.schemas.file import FileDeleted, FileObject
from api.schemas.page import ListPage
from core.access.owner import Owner
from core.db import session_scope
from core.errors import InvalidRequest
from core.files import repository, service
from core.storage import CHUNK, Entry, IntegrityError, Storage

router = APIRouter(prefix="/files", tags=["files"])
UPLOAD_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "purpose"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "purpose": {"type": "string", "enum": list(service.UPLOAD_PURPOSES)},
                    },
                }
            }
        },
    }
}


@router.post("", openapi_extra=UPLOAD_FORM)
async def create_file(
    request: Request, owner: OwnerDep, engine: EngineDep, storage: StorageDep, settings: SettingsDep
) -> FileObject:
    """Upload a file. Its bytes are streamed to the object store; training data is then validated by a worker."""
    file_id, key = await run_in_threadpool(_reserve, engine, owner)
    with storage.writer(key) as writer:
        parser = UploadParser(
            request.headers.get("content-type", ""), writer=writer, file_max_bytes=settings.file_max_bytes
        )
        async for chunk in _large_chunks(request.stream()):
            await run_in_threadpool(parser.feed, chunk)
        upload = parser.finish()
        purpose = _purpose(upload)
    stored = Entry(name=upload.filename or "", bytes=writer.bytes, sha256=writer.sha256)
    return await run_in_threadpool(_insert, engine, storage, owner, file_id, key, purpose, stored)


async def _large_chunks(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A server hands out 64 KiB at a time; a thread is worth waking for a megabyte."""
    gathered = bytearray()
    async for chunk in stream:
        gathered += chunk
        if len(gathered) >= CHUNK:
            yield bytes(gathered)
            gathered.clear()
    yield bytes(gathered)


def _reserve(engine: Engine, owner: Owner) -> tuple[str, str]:
    with session_scope(engine) as session:
        return service.new_object_key(session, owner=owner)


def _purpose(upload: Upload) -> str:
    purpose = upload.fields.pop("purpose", None)
    allowed = ", ".join(service.UPLOAD_PURPOSES)
    if purpose is None:
        raise InvalidRequest(f"purpose: required, one of {allowed}", param="purpose")
    if purpose not in service.UPLOAD_PURPOSES:
        raise InvalidRequest(f"purpose: {purpose!r} is none of {allowed}", param="purpose")
    if upload.fields:
        name = next(iter(upload.fields))
        raise InvalidRequest(f"{name}: unknown field; allowed here: file, purpose", param=name)
    return purpose


def _insert(
    engine: Engine, storage: Storage, owner: Owner, file_id: str, key: str, purpose: str, stored: Entry
) -> FileObject:
    try:
        storage.verify(key, stored)
    except IntegrityError:
        storage.delete(key)
        raise
    # When this fails the object stays: the commit may have happened all the same. What no row points to is garbage.
    with session_scope(engine) as session:
        file = service.create(
            session,
            owner=owner,
            file_id=file_id,
            filename=stored.name,
            purpose=purpose,
            stored=stored,
            object_key=key,
        )
        return FileObject.of(file)


@router.get("")
def list_files(
    owner: OwnerDep,
    session: SessionDep,
    purpose: Annotated[str | None, Query(max_length=64)] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
) -> ListPage[FileObject]:
    page = repository.files(session, owner=owner, purpose=purpose, after=after, limit=limit, descending=order == "desc")
    data = [FileObject.of(file) for file in page.items]
    return ListPage(
        data=data,
        has_more=page.has_more,
        first_id=data[0].id if data else None,
        last_id=data[-1].id if data else None,
    )


@router.get("/{file_id}")
def retrieve_file(file_id: str, owner: OwnerDep, session: SessionDep) -> FileObject:
    return FileObject.of(repository.get(session, owner=owner, file_id=file_id))


@router.get("/{file_id}/content", response_class=StreamingResponse)
def download_file(file_id: str, owner: OwnerDep, session: SessionDep, storage: StorageDep) -> StreamingResponse:
    """The file's bytes, as they were uploaded."""
    file = repository.get(session, owner=owner, file_id=file_id)
    headers = {"content-length": str(file.bytes), "x-content-type-options": "nosniff"}
    return StreamingResponse(storage.stream(file.object_key), media_type="application/octet-stream", headers=headers)


@router.delete("/{file_id}")
def delete_file(file_id: str, owner: OwnerDep, session: SessionDep) -> FileDeleted:
    """Delete the file; jobs that already use it keep its bytes until they end."""
    return FileDeleted(id=service.delete(session, owner=owner, file_id=file_id).id)
