"""What a model's name means to its reader."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.db import Now
from core.errors import InvalidRequest, NotAllowed, NotFound
from core.models import Model
from core.registry import repository
from core.registry.catalogue import Catalogue, CatalogueEntry
from core.specs.training import ModelKind

WHAT: dict[ModelKind, str] = {
    "policy": "a policy, which writes answers",
    "reward_model": "a reward model, which scores answers",
}


class UnknownModel(InvalidRequest):
    code = "model_not_found"


@dataclass(frozen=True)
class StartingModel:
    """What a job starts from: a base of the catalogue and, where an earlier job made it, that job's model."""

    base: CatalogueEntry
    parent: Model | None


def starting_model(
    session: Session, *, owner: Owner, catalogue: Catalogue, name: str, kinds: Collection[ModelKind] = tuple(WHAT)
) -> StartingModel:
    """Resolve the `model` of a job.

    Args:
        kinds: that the job can start from.

    Raises:
        UnknownModel: neither the catalogue nor this owner has a model of that name.
        InvalidRequest: it is of another kind.
    """
    if base := catalogue.find(name):
        return StartingModel(base=base, parent=None)
    parent = repository.model_by_name(session, owner=owner, name=name)
    base = catalogue.find(parent.base_model) if parent else None
    if base is None:
        known = ", ".join(entry.id for entry in catalogue.models)
        raise UnknownModel(
            f"model: no model {name!r}; base models here are {known}, and an operator can let one of them answer to "
            "another name (TUNESMITH_MODEL_ALIASES)",
            param="model",
        )
    if parent is not None and parent.kind not in kinds:
        wanted = " or ".join(WHAT[kind] for kind in kinds)
        raise InvalidRequest(f"model: {name!r} is {WHAT[parent.kind]}; {wanted}, is needed here", param="model")
    return StartingModel(base=base, parent=parent)


def get(session: Session, *, owner: Owner, name: str) -> Model:
    """Raises NotFound."""
    model = repository.model_by_name(session, owner=owner, name=name)
    if model is None:
        raise _no_model(name)
    return model


def _no_model(name: str) -> NotFound:
    return NotFound(f"no model {name!r}", param="model")


def delete(session: Session, *, owner: Owner, catalogue: Catalogue, name: str) -> Model:
    """Take a fine-tuned model, or one checkpoint, out of use; jobs that already run from it go on.

    Raises:
        NotAllowed: it is a base model.
        NotFound: the owner has no such model; one that it only has permission to use is not its own to delete.
    """
    if base := catalogue.find(name):
        raise NotAllowed(f"model: {base.id} is a base model; operators take it out of the catalogue", param="model")
    model = repository.own_model_by_name(session, owner=owner, name=name)
    if model is None:
        raise _no_model(name)
    model.deleted_at = Now()
    return model


def model_name(*, base: str, organization: str, suffix: str | None, job_id: str, step: int | None = None) -> str:
    """`ft:{base}:{org}:{suffix}:{id}`, where the id is the random part of the job's; checkpoints append their step."""
    name = f"ft:{base}:{organization}:{suffix or ''}:{job_id[-16:]}"
    return name if step is None else f"{name}:ckpt-step-{step}"
