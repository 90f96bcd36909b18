from sqlalchemy import select
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.models import Model


def model_by_name(session: Session, *, owner: Owner, name: str) -> Model | None:
    return session.scalar(
        select(Model).where(Model.name == name, Model.deleted_at.is_(None), owner.owns(Model.project_id))
    )


def models(session: Session, *, owner: Owner) -> list[Model]:
    """All models that jobs yielded, newest first, without the jobs' checkpoints."""
    statement = select(Model).where(
        Model.deleted_at.is_(None), Model.checkpoint_step.is_(None), owner.owns(Model.project_id)
    )
    return list(session.scalars(statement.order_by(Model.created_at.desc(), Model.id.desc())))


def model_of_job(session: Session, *, job_id: str) -> Model | None:
    return session.scalar(select(Model).where(Model.job_id == job_id, Model.checkpoint_step.is_(None)))


def model_by_id(session: Session, model_id: str) -> Model:
    return session.get_one(Model, model_id)
