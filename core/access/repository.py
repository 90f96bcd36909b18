from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from core.models import ApiKey, Organization, Project


def organization_by_name(session: Session, name: str) -> Organization | None:
    return session.scalar(select(Organization).where(Organization.name == name))


def project_by_name(session: Session, *, organization_id: str, name: str) -> Project | None:
    return session.scalar(select(Project).where(Project.organization_id == organization_id, Project.name == name))


def organization_of_project(session: Session, project_id: str) -> Organization:
    statement = select(Organization).join(Project, Project.organization_id == Organization.id)
    return session.scalars(statement.where(Project.id == project_id)).one()


def live_key(session: Session, *, sha256: str) -> ApiKey | None:
    """The key with that digest, unless it is revoked or has expired."""
    return session.scalar(
        select(ApiKey).where(
            ApiKey.sha256 == sha256,
            ApiKey.revoked_at.is_(None),
            or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now()),
        )
    )
