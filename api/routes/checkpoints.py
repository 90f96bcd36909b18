from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from api.body import described_by, json_body
from api.deps import After, OwnerDep, SessionDep
from api.once import OnceDep
from api.schemas.page import ListPage
from api.schemas.permission import PermissionDeleted, PermissionObject, PermissionSpec
from core.registry import permissions

# A checkpoint goes by its id or by its model name, in which clients send '/' raw or as %2F.
router = APIRouter(prefix="/fine_tuning/checkpoints/{checkpoint:path}/permissions", tags=["fine-tuning"])


@router.post("", openapi_extra=described_by(PermissionSpec))
def grant_permissions(
    checkpoint: str,
    spec: Annotated[PermissionSpec, Depends(json_body(PermissionSpec))],
    owner: OwnerDep,
    session: SessionDep,
    once: OnceDep,
) -> ListPage[PermissionObject]:
    """Let other projects of the organisation use a checkpoint of this one: start jobs from it, and retrieve it."""
    granted = permissions.grant(session, owner=owner, checkpoint=checkpoint, project_ids=spec.project_ids)
    return once.keep(ListPage.of([PermissionObject.of(permission) for permission in granted], has_more=False))


@router.get("")
def list_permissions(
    checkpoint: str,
    owner: OwnerDep,
    session: SessionDep,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
    order: Literal["ascending", "descending"] = "descending",
    project_id: Annotated[str | None, Query(max_length=64)] = None,
) -> ListPage[PermissionObject]:
    """Who may use the checkpoint."""
    page = permissions.permissions(
        session,
        owner=owner,
        checkpoint=checkpoint,
        project_id=project_id,
        after=after,
        limit=limit,
        descending=order == "descending",
    )
    return ListPage.of([PermissionObject.of(permission) for permission in page.items], has_more=page.has_more)


@router.delete("/{permission_id}")
def revoke_permission(checkpoint: str, permission_id: str, owner: OwnerDep, session: SessionDep) -> PermissionDeleted:
    """Take a permission back. Jobs that were started with it go on."""
    permissions.revoke(session, owner=owner, checkpoint=checkpoint, permission_id=permission_id)
    return PermissionDeleted(id=permission_id)
