from fastapi import APIRouter

from api.deps import OwnerDep, SessionDep
from api.schemas.access import KeyObject, ProjectObject
from api.schemas.page import ListPage
from core.access import repository

router = APIRouter(tags=["access"])


@router.get("/me")
def show_key(owner: OwnerDep, session: SessionDep) -> KeyObject:
    """What the key is that this request was made with, and which project it speaks for."""
    return KeyObject.of(repository.own_key(session, owner=owner))


@router.get("/projects")
def list_projects(owner: OwnerDep, session: SessionDep) -> ListPage[ProjectObject]:
    """The key's project; for an operator all projects, by organisation and name."""
    found = repository.projects(session, owner=owner)
    return ListPage.of([ProjectObject.of(project, organization=name) for project, name in found], has_more=False)
