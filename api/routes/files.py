from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from sqlalchemy import Engine

from api.deps import After, EngineDep, OwnerDep, SessionDep, SettingsDep, StorageDep
from api.multipart import Form, receive, writing
from api.once import IdempotencyKeyDep, committing_once
from api.schemas.file import FileDeleted, FileObject
from api.schemas.page import ListPage
from api.validation import explain
from core.access.owner import Owner
from core.db import session_scope
from core.files import repository, service
from core.idempotency.service import fingerprint
from core.specs.file import FileForm
from core.storage import Entry

router = APIRouter(prefix="/files", tags=["files"])
FORM = {
    "type": "object",
    "required": ["file", "purpose"],
    "additionalProperties": False,
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "purpose": FileForm.model_json_schema()["properties"]["purpose"],
        "expires_after[anchor]": {"type": "string", "enum": ["created_at"]},
        "expires_after[seconds]": {"type": "integer", "minimum": 3600, "maximum": 2_592_000},
    },
}


@router.post(
    "", openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}}
)
async def create_file(
    request: Request,
    owner: OwnerDep,
    engine: EngineDep,
    storage: StorageDep,
    settings: SettingsDep,
    idempotency_key: IdempotencyKeyDep = None,
) -> FileObject:
    """Upload a file. Its bytes are streamed to the object store; training data is then validated by a worker."""
    file_id, key = await run_in_threadpool(_reserve, engine, owner)
    async with writing(storage, key) as writer:
        form = await receive(request, writer, name="file", max_bytes=settings.file_max_bytes, needs_filename=True)
        fields = _fields(form)
    stored = Entry(name=form.filename or "", bytes=writer.bytes, sha256=writer.sha256)
    await run_in_threadpool(storage.confirm, key, stored)

    def insert() -> FileObject:
        seen = fingerprint("POST /v1/files", stored.name, stored.sha256, fields.model_dump_json())
        with committing_once(
            engine, storage, owner=owner, key=idempotency_key, request_sha256=seen, object_key=key
        ) as once:
            file = service.create(
                once.session,
                owner=owner,
                file_id=file_id,
                filename=stored.name,
                purpose=fields.purpose,
                stored=stored,
                object_key=key,
                expires_after=fields.expires_after.seconds if fields.expires_after else None,
            )
            return once.keep(FileObject.of(file))

    return await run_in_threadpool(insert)


def _reserve(engine: Engine, owner: Owner) -> tuple[str, str]:
    with session_scope(engine) as session:
        return service.new_object_key(session, owner=owner)


def _fields(form: Form) -> FileForm:
    """`expires_after[seconds]` is how a form writes a key of an object."""
    body: dict[str, Any] = {}
    for name, value in form.fields.items():
        outer, bracket, inner = name.partition("[")
        if bracket and outer == "expires_after" and inner.endswith("]"):
            body.setdefault(outer, {})[inner[:-1]] = value
        else:
            body[name] = value
    try:
        return FileForm.model_validate(body)
    except ValidationError as error:
        raise explain(error.errors(include_url=False), body=body, schema=FileForm.model_json_schema()) from None


@router.get("")
def list_files(
    owner: OwnerDep,
    session: SessionDep,
    purpose: Annotated[str | None, Query(max_length=64)] = None,
    project_id: Annotated[str | None, Query(max_length=64)] = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000,
    order: Literal["asc", "desc"] = "desc",
) -> ListPage[FileObject]:
    """The project's files, newest first or, with `order=asc`, oldest first; for operators those of all projects."""
    page = repository.files(
        session,
        owner=owner,
        purpose=purpose,
        project_id=project_id,
        after=after,
        limit=limit,
        descending=order == "desc",
    )
    return ListPage.of([FileObject.of(file) for file in page.items], has_more=page.has_more)


@router.get("/{file_id}")
def retrieve_file(file_id: str, owner: OwnerDep, session: SessionDep) -> FileObject:
    """One file, and whether it can be used yet."""
    return FileObject.of(repository.get(session, owner=owner, file_id=file_id))


@router.get(
    "/{file_id}/content",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
def download_file(file_id: str, owner: OwnerDep, session: SessionDep, storage: StorageDep) -> StreamingResponse:
    """The file's bytes, as they were uploaded."""
    file = repository.get(session, owner=owner, file_id=file_id)
    headers = {"content-length": str(file.bytes), "x-content-type-options": "nosniff"}
    return StreamingResponse(storage.stream(file.object_key), media_type="application/octet-stream", headers=headers)


@router.delete("/{file_id}")
def delete_file(file_id: str, owner: OwnerDep, session: SessionDep) -> FileDeleted:
    """Delete the file; jobs that already use it keep its bytes until they end."""
    return FileDeleted(id=service.delete(session, owner=owner, file_id=file_id).id)
