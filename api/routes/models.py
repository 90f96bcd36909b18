from fastapi import APIRouter

from api.deps import CatalogueDep, OwnerDep, SessionDep
from api.schemas.model import ModelDeleted, ModelObject
from api.schemas.page import ListPage
from core.registry import repository, service

# Clients send ids with '/' raw or as %2F: a path parameter takes both.
router = APIRouter(prefix="/models", tags=["models"])


@router.get("")
def list_models(owner: OwnerDep, session: SessionDep, catalogue: CatalogueDep) -> ListPage[ModelObject]:
    """The catalogue's base models, and what this project's jobs made of them."""
    bases = [ModelObject.of_base(entry) for entry in catalogue.models]
    made = repository.models(session, owner=owner)
    return ListPage(data=[*bases, *ModelObject.many(session, made, owner=owner)])


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
