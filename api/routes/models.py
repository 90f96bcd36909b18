from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import CatalogueDep, OwnerDep, SessionDep
from api.schemas.model import ModelDeleted, ModelObject
from api.schemas.page import ListPage
from core.registry import service

# Clients send ids with '/' raw or as %2F: a path parameter takes both.
router = APIRouter(prefix="/models", tags=["models"])


@router.get("")
def list_models(
    owner: OwnerDep,
    session: SessionDep,
    catalogue: CatalogueDep,
    kind: Annotated[service.Listed | None, Query()] = None,
    search: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    after: Annotated[str | None, Query(max_length=256)] = None,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
) -> ListPage[ModelObject]:
    """The catalogue's base models, and what this project's jobs made of them, newest first.

    Without `limit` all of them; with it so many fine-tuned ones a page, and the base models on the first page. `search`
    is a part of the id, of an alias, of the base model or of the job's id, in upper or lower case. `after` is the last
    fine-tuned model of the page before.
    """
    bases, made = service.listed(
        session, owner=owner, catalogue=catalogue, kind=kind, search=search, after=after, limit=limit
    )
    found = [*map(ModelObject.of_base, bases), *ModelObject.many(session, made.items, owner=owner)]
    return ListPage(data=found, has_more=made.has_more)


@router.get("/{model:path}")
def retrieve_model(model: str, owner: OwnerDep, session: SessionDep, catalogue: CatalogueDep) -> ModelObject:
    """A base model, a fine-tuned one, or a checkpoint that this project may use."""
    if entry := catalogue.find(model):
        return ModelObject.of_base(entry)
    return ModelObject.many(session, [service.get(session, owner=owner, name=model)], owner=owner)[0]


@router.delete("/{model:path}")
def delete_model(model: str, owner: OwnerDep, session: SessionDep, catalogue: CatalogueDep) -> ModelDeleted:
    """Take a fine-tuned model, or one checkpoint, out of use. Base models are the operators' to remove."""
    return ModelDeleted(id=service.delete(session, owner=owner, catalogue=catalogue, name=model).name)
