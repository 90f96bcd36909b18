"""Checkpoints that other projects of the same organisation may use as models."""

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.access.repository import projects_of_organization
from core.errors import NotFound
from core.ids import new_id
from core.models import CheckpointPermission
from core.paging import Page
from core.registry import repository


def grant(session: Session, *, owner: Owner, checkpoint: str, project_ids: list[str]) -> list[CheckpointPermission]:
    """Let the projects use the checkpoint, all of them or none; granting again answers the permission that there is.

    Raises:
        NotFound: this owner has no such checkpoint, or its organisation no such project.
    """
    found, project_id = repository.checkpoint(session, owner=owner, name=checkpoint, share=True)
    known = projects_of_organization(session, of_project=project_id, ids=project_ids)
    for at, id in enumerate(project_ids):
        if id not in known:
            raise NotFound(f"project_ids.{at}: no project {id!r} in this organisation", param=f"project_ids.{at}")
    for id in project_ids:
        repository.add_permission(session, id=new_id("cp_"), checkpoint_id=found.id, project_id=id)
    granted = repository.permissions_of(session, checkpoint_id=found.id, project_ids=project_ids)
    return sorted(granted, key=lambda permission: project_ids.index(permission.project_id))


def permissions(
    session: Session,
    *,
    owner: Owner,
    checkpoint: str,
    project_id: str | None,
    after: str | None,
    limit: int,
    descending: bool,
) -> Page[CheckpointPermission]:
    """Raises NotFound where this owner has no such checkpoint."""
    found, _ = repository.checkpoint(session, owner=owner, name=checkpoint)
    return repository.permissions(
        session, checkpoint_id=found.id, project_id=project_id, after=after, limit=limit, descending=descending
    )


def revoke(session: Session, *, owner: Owner, checkpoint: str, permission_id: str) -> None:
    """Take the permission back; jobs that were started with it go on.

    Raises:
        NotFound: this owner has no such checkpoint, or the checkpoint no such permission.
    """
    found, _ = repository.checkpoint(session, owner=owner, name=checkpoint)
    if not repository.delete_permission(session, checkpoint_id=found.id, permission_id=permission_id):
        raise NotFound(f"no permission {permission_id!r} on this checkpoint", param="permission_id")
