from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from core.models.base import Base, Owned
from core.specs.training import ModelKind, Weights


class Model(Owned, Base):
    """A model that a job made: `ft:{base}:{org}:{suffix}:{id}`, or one of its checkpoints, `…:ckpt-step-{n}`."""

    __tablename__ = "models"
    __table_args__ = (Index("ix_models_project_id_created_at_id", "project_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), index=True)
    base_model: Mapped[str]
    parent_model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"))
    # Set for a checkpoint of a job; null for what a finished job yielded.
    checkpoint_step: Mapped[int | None]
    kind: Mapped[ModelKind] = mapped_column(String, server_default="policy")
    weights: Mapped[Weights] = mapped_column(String)  # of "full" ones the model is a base like any other
    # Of an adapter: the model with full weights that it sits on; null where that is the base of the catalogue.
    full_base_id: Mapped[str | None] = mapped_column(ForeignKey("models.id"))
    prefix: Mapped[str]
    manifest: Mapped[list[dict[str, Any]]]
    deleted_at: Mapped[datetime | None]
