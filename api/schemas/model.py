from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel
from sqlalchemy.orm import Session

from api.schemas.page import unix
from core.access.owner import Owner
from core.models import Model
from core.registry.catalogue import CatalogueEntry
from core.registry.repository import names
from core.specs.training import ModelKind, Weights


class ModelObject(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    # Ours: what a fine-tuned model was made of.
    base_model: str | None = None
    kind: ModelKind = "policy"
    weights: Weights = "full"
    job_id: str | None = None
    project_id: str | None = None
    # The model that its job went on from, where a job had made that one, too; it may be deleted by now.
    parent: str | None = None
    checkpoint_step: int | None = None
    aliases: list[str] = []

    @classmethod
    def of_base(cls, entry: CatalogueEntry) -> "ModelObject":
        return cls(id=entry.id, created=0, owned_by=entry.public_id.split("/")[0], aliases=entry.aliases)

    @classmethod
    def many(cls, session: Session, models: Sequence[Model], *, owner: Owner) -> list["ModelObject"]:
        """All their parents in one query. Of another project's, which may only be used, the parent is not told."""
        own = [model for model in models if owner.project_id in (None, model.project_id)]
        parents = names(session, ids={model.parent_model_id for model in own if model.parent_model_id})
        known = {model.id: parents.get(model.parent_model_id or "") for model in own}
        return [cls._of(model, parent=known.get(model.id)) for model in models]

    @classmethod
    def _of(cls, model: Model, *, parent: str | None) -> "ModelObject":
        return cls(
            id=model.name,
            created=unix(model.created_at),
            owned_by=model.project_id,
            base_model=model.base_model,
            kind=model.kind,
            weights=model.weights,
            job_id=model.job_id,
            project_id=model.project_id,
            parent=parent,
            checkpoint_step=model.checkpoint_step,
        )


class ModelDeleted(BaseModel):
    id: str
    object: Literal["model"] = "model"
    deleted: Literal[True] = True
