"""What a model's name means to its reader."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.db import Now
from core.errors import InvalidRequest, NotAllowed, NotFound
from core.models import Model
from core.paging import Page
from core.registry import repository
from core.registry.cards import Card, of_base, of_model
from core.registry.catalogue import Catalogue, CatalogueEntry
from core.specs.training import ModelKind

WHAT: dict[ModelKind, str] = {
    "policy": "a policy, which writes answers",
    "reward_model": "a reward model, which scores answers",
}

OF_CATALOGUE: ModelKind = "policy"


class UnknownModel(InvalidRequest):
    code = "model_not_found"


@dataclass(frozen=True)
class StartingModel:
    """What a job starts from.

    base_model: the catalogue's id of the base that it descends from, or the architecture that was initialised.
    public_id: that base, as the world knows it. parent: the model, where an earlier job made it. card: its tokenizer
    and figures.
    """

    base_model: str
    public_id: str
    parent: Model | None
    card: Card


def starting_model(
    session: Session,
    *,
    owner: Owner,
    catalogue: Catalogue,
    name: str,
    kinds: Collection[ModelKind] = tuple(WHAT),
    param: str = "model",
) -> StartingModel:
    """Resolve the `model` of a job, or another that it names.

    Args:
        kinds: that it may be of.
        param: the job's key that names it.

    Raises:
        UnknownModel: neither the catalogue nor this owner has a model of that name.
        InvalidRequest: it is of another kind.
    """
    if entry := catalogue.find(name):
        _check_kind(name, OF_CATALOGUE, kinds, param=param)
        return StartingModel(entry.id, entry.public_id, None, of_base(entry))
    parent = repository.model_by_name(session, owner=owner, name=name)
    base = parent.base_model if parent else ""
    card = parent and card_of(session, catalogue=catalogue, parent_model_id=parent.id, base_model=base)
    if parent is None or card is None:
        if OF_CATALOGUE in kinds:
            raise unknown_model(catalogue, name)
        raise UnknownModel(f"{param}: no model {name!r} that this project may use", param=param)
    _check_kind(name, parent.kind, kinds, param=param)
    entry = catalogue.find(base)
    return StartingModel(base, entry.public_id if entry else base, parent, card)


def card_of(session: Session, *, catalogue: Catalogue, parent_model_id: str | None, base_model: str) -> Card | None:
    """Of what a job trains on: that of the job-made model with full weights below it, or of a base of the catalogue.

    None where the catalogue has the base no more.
    """
    full = repository.full_base(session, parent_model_id=parent_model_id)
    entry = catalogue.find(base_model)
    return (of_model(full) if full else None) or (of_base(entry) if entry else None)


def _check_kind(name: str, kind: ModelKind, kinds: Collection[ModelKind], *, param: str) -> None:
    if kind not in kinds:
        wanted = " or ".join(WHAT[kind] for kind in kinds)
        raise InvalidRequest(f"{param}: {name!r} is {WHAT[kind]}; {wanted}, is needed here", param=param)


def unknown_model(catalogue: Catalogue, name: str) -> UnknownModel:
    known = ", ".join(entry.id for entry in catalogue.models)
    return UnknownModel(
        f"model: no model {name!r}; base models here are {known}, and an operator can let one of them answer to "
        "another name (TUNESMITH_MODEL_ALIASES)",
        param="model",
    )


Listed = Literal["base", "fine_tuned", "reward_model"]
KINDS: dict[Listed, ModelKind] = {"fine_tuned": "policy", "reward_model": "reward_model"}


def listed(
    session: Session,
    *,
    owner: Owner,
    catalogue: Catalogue,
    kind: Listed | None,
    search: str | None,
    after: str | None,
    limit: int | None,
) -> tuple[list[CatalogueEntry], Page[Model]]:
    """Base models, all of them on the first page, and a page of those that jobs made, newest first.

    Args:
        kind: of these alone.
        search: as `Catalogue.like` and `repository.models` take it.
        after: the name of the last one that was seen that a job made.
    """
    first_of_bases = kind in (None, "base") and after is None
    bases = catalogue.like(search or "") if first_of_bases else []
    if kind == "base":
        return bases, Page([], has_more=False)
    of_kind = kind and KINDS[kind]
    made = repository.models(session, owner=owner, kind=of_kind, search=search, after=after, limit=limit)
    return bases, made


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
