from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session, aliased

from core.access.owner import Owner
from core.errors import NotFound
from core.jobs.states import TERMINAL
from core.models import Checkpoint, CheckpointPermission, Job, Model
from core.models.job import REWARD_MODELS
from core.paging import Page, page, unknown_cursor

FORGOTTEN_SECONDS = 600.0


def model_by_name(session: Session, *, owner: Owner, name: str) -> Model | None:
    """The owner's model of that name, or a checkpoint that another project has given it permission to use."""
    usable = or_(owner.owns(Model.project_id), _granted(owner))
    return session.scalar(select(Model).where(Model.name == name, Model.deleted_at.is_(None), usable))


def _granted(owner: Owner) -> ColumnElement[bool]:
    return exists().where(
        CheckpointPermission.project_id == owner.project_id,
        CheckpointPermission.checkpoint_id == Checkpoint.id,
        Checkpoint.job_id == Model.job_id,
        Checkpoint.step == Model.checkpoint_step,
    )


def own_model_by_name(session: Session, *, owner: Owner, name: str) -> Model | None:
    return session.scalar(
        select(Model).where(Model.name == name, Model.deleted_at.is_(None), owner.owns(Model.project_id))
    )


def models(
    session: Session, *, owner: Owner, kind: str | None, search: str | None, after: str | None, limit: int | None
) -> Page[Model]:
    """Models that jobs yielded, newest first, without the jobs' checkpoints.

    Args:
        kind: "policy" or "reward_model"; None for both.
        search: a part of the name, the base model or the job's id, in upper or lower case.
        after: the name of the last one that was seen.
    """
    mine = (Model.deleted_at.is_(None), Model.checkpoint_step.is_(None), owner.owns(Model.project_id))
    statement, by = select(Model).where(*mine), (Model.created_at, Model.id)
    if kind is not None:
        statement = statement.where(Model.kind == kind)
    if search is not None:
        places = (Model.name, Model.base_model, Model.job_id)
        statement = statement.where(or_(*(place.icontains(search, autoescape=True) for place in places)))
    cursor = None
    if after is not None:
        cursor = session.execute(select(*by).where(Model.name == after, owner.owns(Model.project_id))).one_or_none()
        if cursor is None:
            raise unknown_cursor(after)
    return page(session, statement, by=by, after=cursor and tuple(cursor), limit=limit)


def model_of_job(session: Session, *, job_id: str) -> Model | None:
    return session.scalar(select(Model).where(Model.job_id == job_id, Model.checkpoint_step.is_(None)))


def models_named(session: Session, *, names: Sequence[str]) -> list[Model]:
    """Those models in that order, deleted ones too: who asks was allowed to use them once, and is so to its end."""
    found = {model.name: model for model in session.scalars(select(Model).where(Model.name.in_(names)))}
    return [found[name] for name in names]


def names(session: Session, *, ids: Collection[str]) -> dict[str, str]:
    """By id, of deleted ones too."""
    rows = session.execute(select(Model.id, Model.name).where(Model.id.in_(ids))) if ids else ()
    return {id: name for id, name in rows}


def jobs_of(session: Session, *, ids: Collection[str]) -> dict[str, str]:
    """The jobs that made these models, by the models' ids; of deleted ones too."""
    rows = session.execute(select(Model.id, Model.job_id).where(Model.id.in_(ids))) if ids else ()
    return {id: job_id for id, job_id in rows}


def full_base(session: Session, *, parent_model_id: str | None) -> Model | None:
    """The job-made model with full weights that a job from this one trains on; None where that is the catalogue's base.

    It may have been deleted since: what stands on it keeps it.
    """
    parent = session.get_one(Model, parent_model_id) if parent_model_id else None
    if parent is None or parent.weights == "full":
        return parent
    return session.get_one(Model, parent.full_base_id) if parent.full_base_id else None


def model_by_id(session: Session, model_id: str) -> Model:
    return session.get_one(Model, model_id)


def checkpoint(session: Session, *, owner: Owner, name: str, share: bool = False) -> tuple[Checkpoint, str]:
    """A checkpoint of the owner's, by its id or by its model name, and the project that it belongs to.

    Args:
        share: lock it, so that it is not forgotten before this transaction ends.

    Raises:
        NotFound: the owner has none of that name.
    """
    named = and_(Model.job_id == Checkpoint.job_id, Model.checkpoint_step == Checkpoint.step)
    statement = (
        select(Checkpoint, Job.project_id)
        .join(Job, Job.id == Checkpoint.job_id)
        .outerjoin(Model, named)
        .where(or_(Checkpoint.id == name, Model.name == name), owner.owns(Job.project_id))
    )
    if share:
        statement = statement.with_for_update(read=True, key_share=True, of=Checkpoint)
    found = session.execute(statement).one_or_none()
    if found is None:
        raise NotFound(f"no checkpoint {name!r}", param="fine_tuned_model_checkpoint")
    return found[0], found[1]


def forgotten(session: Session, *, limit: int) -> list[Model]:
    """Checkpoints that their jobs forgot, whose objects nothing needs: no unfinished job, and no adapter on them.

    Only after FORGOTTEN_SECONDS: a job that was just being created had read the model before it went.
    """
    there = exists().where(Checkpoint.job_id == Model.job_id, Checkpoint.step == Model.checkpoint_step)
    gone = (Model.deleted_at < func.now() - timedelta(seconds=FORGOTTEN_SECONDS), Model.checkpoint_step.is_not(None))
    kept = func.jsonb_array_length(Model.manifest) > 0
    return list(session.scalars(select(Model).where(*gone, kept, ~there, ~needed()).limit(limit)))


def needed() -> ColumnElement[bool]:
    """Whether an unfinished job starts from a model or is scored by it, or an adapter sits on it, deleted ones too."""
    unfinished = Job.status.not_in(TERMINAL)
    started = exists().where(Job.parent_model_id == Model.id, unfinished)
    # By name: no other model ever has it.
    scored = exists().where(REWARD_MODELS.contains(func.to_jsonb(Model.name)), unfinished)
    adapter = aliased(Model)
    return or_(started, scored, exists().where(adapter.full_base_id == Model.id))


def empty(session: Session, *, ids: list[str]) -> None:
    """Note that these models' objects are gone."""
    gone = update(Model).where(Model.id.in_(ids), Model.deleted_at.is_not(None))
    session.execute(gone.values(manifest=[]))


def add_permission(session: Session, *, id: str, checkpoint_id: str, project_id: str) -> None:
    statement = insert(CheckpointPermission).values(id=id, checkpoint_id=checkpoint_id, project_id=project_id)
    session.execute(statement.on_conflict_do_nothing(index_elements=["checkpoint_id", "project_id"]))


def permissions_of(session: Session, *, checkpoint_id: str, project_ids: list[str]) -> list[CheckpointPermission]:
    statement = select(CheckpointPermission).where(
        CheckpointPermission.checkpoint_id == checkpoint_id, CheckpointPermission.project_id.in_(project_ids)
    )
    return list(session.scalars(statement))


def permissions(
    session: Session, *, checkpoint_id: str, project_id: str | None, after: str | None, limit: int, descending: bool
) -> Page[CheckpointPermission]:
    by = (CheckpointPermission.created_at, CheckpointPermission.id)
    statement = select(CheckpointPermission).where(CheckpointPermission.checkpoint_id == checkpoint_id)
    cursor = None
    if after is not None:
        here = select(*by).where(CheckpointPermission.id == after, CheckpointPermission.checkpoint_id == checkpoint_id)
        cursor = session.execute(here).one_or_none()
        if cursor is None:
            raise unknown_cursor(after)
    if project_id is not None:
        statement = statement.where(CheckpointPermission.project_id == project_id)
    return page(session, statement, by=by, after=cursor and tuple(cursor), limit=limit, descending=descending)


def delete_permission(session: Session, *, checkpoint_id: str, permission_id: str) -> bool:
    """True where there was one to delete."""
    statement = delete(CheckpointPermission).where(
        CheckpointPermission.checkpoint_id == checkpoint_id, CheckpointPermission.id == permission_id
    )
    return session.scalar(statement.returning(CheckpointPermission.id)) is not None
