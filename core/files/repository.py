"""SQL about files, as their owners see them."""

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.errors import NotFound
from core.jobs.states import TERMINAL
from core.models import Artifact, File, Job
from core.models.job import INPUTS
from core.paging import Page, page, unknown_cursor


def _alive() -> ColumnElement[bool]:
    """Neither deleted nor expired: an expired file is gone at once, whenever the reconciler comes by."""
    return and_(File.deleted_at.is_(None), or_(File.expires_at.is_(None), File.expires_at > func.now()))


def get(
    session: Session, *, owner: Owner, file_id: str, param: str = "file_id", share: bool = False, lock: bool = False
) -> File:
    """The file; `share` keeps it from being finished or deleted until this transaction ends, `lock` from all else.

    Raises:
        NotFound: there is none of that id that this owner may see.
    """
    statement = select(File).where(File.id == file_id, _alive(), owner.owns(File.project_id))
    if share or lock:
        statement = statement.with_for_update(read=share).execution_options(populate_existing=True)
    file = session.scalar(statement)
    if file is None:
        raise NotFound(f"{param}: no file {file_id!r}", param=param)
    return file


def files(
    session: Session,
    *,
    owner: Owner,
    purpose: str | None,
    project_id: str | None,
    after: str | None,
    limit: int,
    descending: bool,
) -> Page[File]:
    mine = (_alive(), owner.owns(File.project_id))
    statement = select(File).where(*mine)
    if project_id is not None:
        statement = statement.where(File.project_id == project_id)
    if purpose is not None:
        statement = statement.where(File.purpose == purpose)
    cursor = None
    if after is not None:
        cursor = session.execute(select(File.created_at, File.id).where(File.id == after, *mine)).one_or_none()
        if cursor is None:
            raise unknown_cursor(after)
    by = (File.created_at, File.id)
    return page(session, statement, by=by, after=cursor and tuple(cursor), limit=limit, descending=descending)


def delete_expired(session: Session) -> None:
    """What has expired counts as deleted, so that its bytes are purged like those of any deleted file."""
    session.execute(
        update(File).where(File.expires_at <= func.now(), File.deleted_at.is_(None)).values(deleted_at=func.now())
    )


def purgeable(session: Session, *, limit: int) -> list[File]:
    """Deleted files whose bytes no unfinished job needs any more, locked.

    A job's result file shares its object with an artifact of the job, which stays.
    """
    needed = exists().where(or_(*(column == File.id for column in INPUTS.values())), Job.status.not_in(TERMINAL))
    shared = exists().where(Artifact.object_key == File.object_key)
    deleted = (File.deleted_at.is_not(None), File.purged_at.is_(None))
    statement = select(File).where(*deleted, ~needed, ~shared).limit(limit)
    return list(session.scalars(statement.with_for_update(skip_locked=True)))
