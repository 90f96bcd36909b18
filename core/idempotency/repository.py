from datetime import timedelta

from sqlalchemy import delete, func
from sqlalchemy.orm import Session

from core.models import IdempotencyKey


def get(session: Session, *, project_id: str, key: str) -> IdempotencyKey | None:
    return session.get(IdempotencyKey, (project_id, key))


def delete_older(session: Session, *, seconds: float) -> None:
    session.execute(delete(IdempotencyKey).where(IdempotencyKey.created_at < func.now() - timedelta(seconds=seconds)))
