from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.models import ApiKey, Organization, Project


def organization_by_name(session: Session, name: str) -> Organization | None:
    return session.scalar(select(Organization).where(Organization.name == name))


def project_by_name(session: Session, *, organization_id: str, name: str) -> Project | None:
    return session.scalar(select(Project).where(Project.organization_id == organization_id, Project.name == name))


def projects_by_organization_name(session: Session, name: str) -> list[Project]:
    statement = select(Project).join(Organization, Organization.id == Project.organization_id)
    return list(session.scalars(statement.where(Organization.name == name).order_by(Project.name)))


def organization_of_project(session: Session, project_id: str) -> Organization:
    statement = select(Organization).join(Project, Project.organization_id == Organization.id)
    return session.scalars(statement.where(Project.id == project_id)).one()


def organization_ids(session: Session, *, project_ids: set[str]) -> dict[str, str]:
    """The organisation of each project."""
    rows = session.execute(select(Project.id, Project.organization_id).where(Project.id.in_(project_ids)))
    return {row.id: row.organization_id for row in rows}


def _is_live() -> tuple[ColumnElement[bool], ...]:
    return ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > func.now())


def owner_of_key(session: Session, *, sha256: str) -> Owner | None:
    """Who the key with that digest speaks for, unless it is revoked or has expired."""
    found = session.execute(
        select(ApiKey.id, ApiKey.project_id, Project.rate_limit_per_minute)
        .outerjoin(Project, Project.id == ApiKey.project_id)
        .where(ApiKey.sha256 == sha256, *_is_live())
    ).one_or_none()
    return Owner(*found) if found else None


@dataclass(frozen=True)
class OwnKey:
    """A key as its holder may see it; without a project it is an operator's."""

    id: str
    name: str
    project: Project | None
    organization: str | None


def own_key(session: Session, *, owner: Owner) -> OwnKey:
    """The key that asks."""
    statement = (
        select(ApiKey.id, ApiKey.name, Project, Organization.name)
        .outerjoin(Project, Project.id == ApiKey.project_id)
        .outerjoin(Organization, Organization.id == Project.organization_id)
    )
    return OwnKey(*session.execute(statement.where(ApiKey.id == owner.key_id)).one())


def projects(session: Session, *, owner: Owner) -> list[tuple[Project, str]]:
    """(project, its organisation's name) of those whose rows this owner may see, by organisation and name."""
    statement = select(Project, Organization.name).join(Organization, Organization.id == Project.organization_id)
    ordered = statement.where(owner.owns(Project.id)).order_by(Organization.name, Project.name)
    return [(row.Project, row.name) for row in session.execute(ordered)]


def key_names(session: Session, *, ids: Collection[str]) -> dict[str, str]:
    """By id, of revoked ones too."""
    rows = session.execute(select(ApiKey.id, ApiKey.name).where(ApiKey.id.in_(ids))) if ids else ()
    return {id: name for id, name in rows}


def keys(session: Session) -> list[tuple[ApiKey, str | None]]:
    """(key, its project's name) of every key that is not revoked, the latest first; operators' have no project."""
    statement = select(ApiKey, Project.name).outerjoin(Project, Project.id == ApiKey.project_id)
    rows = session.execute(statement.where(ApiKey.revoked_at.is_(None)).order_by(ApiKey.created_at.desc(), ApiKey.id))
    return [(row.ApiKey, row.name) for row in rows]


def revoke_key(session: Session, *, key_id: str) -> bool:
    """Whether there was one to revoke."""
    statement = update(ApiKey).where(ApiKey.id == key_id, ApiKey.revoked_at.is_(None)).values(revoked_at=func.now())
    return session.scalar(statement.returning(ApiKey.id)) is not None


def live_keys(session: Session, *, ids: list[str]) -> set[str]:
    """Those of the keys that are neither revoked nor expired."""
    return set(session.scalars(select(ApiKey.id).where(ApiKey.id.in_(ids), *_is_live())))


def projects_of_organization(session: Session, *, of_project: str, ids: list[str]) -> set[str]:
    """Those of the ids that are projects of the same organisation as the project `of_project`."""
    organization = select(Project.organization_id).where(Project.id == of_project).scalar_subquery()
    return set(session.scalars(select(Project.id).where(Project.id.in_(ids), Project.organization_id == organization)))
