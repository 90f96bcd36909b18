"""SQL about files, as their owners see them."""

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.errors import NotFound
from core.jobs.states import TERMINAL
from core.models import File, Job
from core.paging import Page, page, unknown_cursor


def get(
    session: Session, *, owner: Owner, file_id: str, param: str = "file_id", share: bool = False, lock: bool = False
) -> File:
    """The file; `share` keeps it from being finished or deleted until this transaction ends, `lock` from all else.

    Raises:
        NotFound: there is none of that id that this owner may see.
    """
    statement = select(File).where(File.id == file_id, File.deleted_at.is_(None), owner.owns(File.project_id))
    if share or lock:
        statement = statement.with_for_update(read=share).execution_options(populate_existing=True)
    file = session.scalar(statement)
    if file is None:
        raise NotFound(f"{param}: no file {file_id!r}", param=param)
    return file


def files(
    session: Session, *, owner: Owner, purpose: str | None, after: str | None, limit: int, descending: bool
) -> Page[File]:
    mine = (File.deleted_at.is_(None), owner.owns(File.project_id))
    statement = select(File).where(*mine)
    if purpose is not None:
        statement = statement.where(File.purpose == purpose)
    cursor = None
    if after is not None:
        cursor = session.execute(select(File.created_at, File.id).where(File.id == after, *mine)).one_or_none()
        if cursor is None:
            raise unknown_cursor(after)
    by = (File.created_at, File.id)
    return page(session, statement, by=by, after=cursor and tuple(cursor), limit=limit, descending=descending)


def purgeable(session: Session, *, limit: int) -> list[File]:
    """Deleted files whose bytes no unfinished job needs any more, locked."""
    needed = exists().where(
        (Job.training_file_id == File.id) | (Job.validation_file_id == File.id), Job.status.not_in(TERMINAL)
    )
    statement = select(File).where(File.deleted_at.is_not(None), File.purged_at.is_(None), ~needed).limit(limit)
    return list(session.scalars(statement.with_for_update(skip_locked=True)))
