"""Projects and keys."""

from sqlalchemy.orm import Session

from core.access import keys, repository
from core.access.owner import Owner
from core.db import lock
from core.errors import NotAllowed, NotAuthenticated, NotFound
from core.ids import new_id
from core.models import ApiKey, Organization, Project


def ensure_project(session: Session, *, organization: str, project: str) -> Project:
    """The project of that name, created (with its organisation) where it does not exist yet."""
    lock(session, "projects")
    owner = repository.organization_by_name(session, organization)
    if owner is None:
        owner = Organization(id=new_id("org-"), name=organization)
        session.add(owner)
        session.flush()
    found = repository.project_by_name(session, organization_id=owner.id, name=project)
    if found is None:
        found = Project(id=new_id("proj_"), organization_id=owner.id, name=project)
        session.add(found)
        session.flush()
    return found


def list_projects(session: Session, *, organization: str) -> list[Project]:
    """The organisation's projects, by name."""
    return repository.projects_by_organization_name(session, organization)


def set_rate_limit(session: Session, *, organization: str, project: str, per_minute: int | None) -> Project:
    """Let the project make so many requests a minute, 0 for any number, None for what the settings say.

    Raises:
        NotFound: the organisation has no project of that name.
    """
    projects = list_projects(session, organization=organization)
    found = next((known for known in projects if known.name == project), None)
    if found is None:
        names = ", ".join(known.name for known in projects)
        raise NotFound(f"there is no project {project!r}; there are: {names or 'none'}")
    found.rate_limit_per_minute = per_minute
    return found


def create_key(session: Session, *, project_id: str | None, name: str) -> str:
    """Create a key and answer its text, which is shown this once. Without a project it is an operator's."""
    key = keys.generate(keys.OPERATOR_PREFIX if project_id is None else keys.PROJECT_PREFIX)
    session.add(ApiKey(id=new_id("key_"), project_id=project_id, name=name, sha256=keys.digest(key), hint=key[-4:]))
    return key


def revoke_key(session: Session, *, key_id: str) -> None:
    """Take a key out of use, for good; processes that have seen it follow within TUNESMITH_KEY_CACHE_SECONDS.

    Raises:
        NotFound: there is none of that id, or it is revoked already.
    """
    if not repository.revoke_key(session, key_id=key_id):
        raise NotFound(f"there is no key {key_id!r}, or it is revoked already")


def authenticate(session: Session, *, key: str | None) -> Owner:
    """Who the key speaks for.

    Raises:
        NotAuthenticated: there is no key, or it is malformed, unknown, revoked or expired.
    """
    if not key:
        raise NotAuthenticated("no API key: send the header Authorization: Bearer <key>")
    owner = repository.owner_of_key(session, sha256=keys.digest(key)) if keys.is_well_formed(key) else None
    if owner is None:
        raise NotAuthenticated("the API key is not valid")
    return owner


def require_project(owner: Owner) -> str:
    """The project that new things belong to.

    Raises:
        NotAllowed: an operator key, which belongs to no project.
    """
    if owner.project_id is None:
        raise NotAllowed("an operator key belongs to no project: create files and jobs with a project key")
    return owner.project_id
