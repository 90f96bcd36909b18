from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from api.schemas.page import unix
from core.models import CheckpointPermission
from core.specs.strict import Strict


class PermissionSpec(Strict):
    """The body that grants permission."""

    project_ids: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        min_length=1, max_length=100
    )


class PermissionObject(BaseModel):
    id: str
    object: Literal["checkpoint.permission"] = "checkpoint.permission"
    created_at: int
    project_id: str

    @classmethod
    def of(cls, permission: CheckpointPermission) -> "PermissionObject":
        return cls(id=permission.id, created_at=unix(permission.created_at), project_id=permission.project_id)


class PermissionDeleted(BaseModel):
    id: str
    object: Literal["checkpoint.permission"] = "checkpoint.permission"
    deleted: Literal[True] = True
