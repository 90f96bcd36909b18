from typing import Literal

from pydantic import BaseModel

from api.schemas.page import unix
from core.models import Model
from core.registry.catalogue import CatalogueEntry
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
    aliases: list[str] = []

    @classmethod
    def of_base(cls, entry: CatalogueEntry) -> "ModelObject":
        return cls(id=entry.id, created=0, owned_by=entry.public_id.split("/")[0], aliases=entry.aliases)

    @classmethod
    def of(cls, model: Model) -> "ModelObject":
        return cls(
            id=model.name,
            created=unix(model.created_at),
            owned_by=model.project_id,
            base_model=model.base_model,
            kind=model.kind,
            weights=model.weights,
            job_id=model.job_id,
        )


class ModelDeleted(BaseModel):
    id: str
    object: Literal["model"] = "model"
    deleted: Literal[True] = True
