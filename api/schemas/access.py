from typing import Literal

from pydantic import BaseModel

from api.schemas.page import unix
from core.access.repository import OwnKey
from core.models import Project


class KeyProject(BaseModel):
    id: str
    name: str


class KeyObject(BaseModel):
    """The key that asks; without a project it is an operator's."""

    object: Literal["api_key"] = "api_key"
    id: str
    name: str
    operator: bool
    organization: str | None
    project: KeyProject | None

    @classmethod
    def of(cls, key: OwnKey) -> "KeyObject":
        project = KeyProject(id=key.project.id, name=key.project.name) if key.project else None
        return cls(id=key.id, name=key.name, operator=project is None, organization=key.organization, project=project)


class ProjectObject(BaseModel):
    object: Literal["project"] = "project"
    id: str
    name: str
    organization: str
    created_at: int

    @classmethod
    def of(cls, project: Project, *, organization: str) -> "ProjectObject":
        return cls(id=project.id, name=project.name, organization=organization, created_at=unix(project.created_at))
