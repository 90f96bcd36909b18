"""SQL about uploads and their parts, as their owners see them."""

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.errors import NotFound
from core.models import Upload, UploadPart


def get(session: Session, *, owner: Owner, upload_id: str, lock: bool = False) -> Upload:
    """The upload, locked for a change where asked. One whose time is over is expired by whoever looks at it first.

    Raises:
        NotFound: there is none of that id that this owner may see.
    """
    expire_overdue(session, upload_id=upload_id)
    statement = select(Upload).where(Upload.id == upload_id, owner.owns(Upload.project_id))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    upload = session.scalar(statement)
    if upload is None:
        raise NotFound(f"no upload {upload_id!r}", param="upload_id")
    return upload


def expire_overdue(session: Session, *, upload_id: str | None = None) -> None:
    """Expire pending uploads whose time is over: that one, or all."""
    statement = update(Upload).where(Upload.status == "pending", Upload.expires_at <= func.now())
    if upload_id is not None:
        statement = statement.where(Upload.id == upload_id)
    session.execute(statement.values(status="expired"))


def parts(session: Session, *, upload_id: str, ids: list[str]) -> dict[str, UploadPart]:
    """The upload's parts of these ids; what is another upload's is not among them."""
    statement = select(UploadPart).where(UploadPart.upload_id == upload_id, UploadPart.id.in_(ids))
    return {part.id: part for part in session.scalars(statement)}


def received(session: Session, *, upload_id: str) -> tuple[int, int]:
    """(number of parts, bytes in all of them)"""
    statement = select(func.count(), func.coalesce(func.sum(UploadPart.bytes), 0))
    count, size = session.execute(statement.where(UploadPart.upload_id == upload_id)).one()
    return count, int(size)


def parts_of_ended(session: Session, *, limit: int) -> list[UploadPart]:
    """Parts that nobody needs any more: their upload is complete, cancelled or expired."""
    statement = select(UploadPart).join(Upload, Upload.id == UploadPart.upload_id).where(Upload.status != "pending")
    return list(session.scalars(statement.limit(limit)))


def delete_parts(session: Session, *, ids: list[str]) -> None:
    session.execute(delete(UploadPart).where(UploadPart.id.in_(ids)))
