from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, Index, Text, func, text
from sqlalchemy.orm import Mapped, mapped_column

from core.jobs.states import ACTIVE, STATES
from core.models.base import Base, Owned


def _sql_list(values: frozenset[str]) -> str:
    return ", ".join(f"'{value}'" for value in sorted(values))


class Job(Owned, Base):
    """A fine-tuning job: what was asked, where it stands, and the fence of its current attempt.

    `token` and `lease_expires_at` are set exactly while an attempt holds the job. Each of the attempt's writes first
    updates this row `WHERE token = …`, which locks it: its event numbers therefore have neither gaps nor doubles.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint(f"status IN ({_sql_list(STATES)})", name="status"),
        CheckConstraint(f"(token IS NOT NULL) = (status IN ({_sql_list(ACTIVE)}))", name="token_while_active"),
        CheckConstraint("(token IS NULL) = (lease_expires_at IS NULL)", name="lease_with_token"),
        Index("ix_jobs_project_id_created_at_id", "project_id", "created_at", "id"),
        Index("ix_jobs_created_at_id", "created_at", "id"),
        Index("ix_jobs_status_created_at_id", "status", "created_at", "id"),
        Index("ix_jobs_model", "model", "created_at", "id"),
        Index("ix_jobs_base_model", "base_model", "created_at", "id"),
        Index(
            "ix_jobs_search_text",
            "search_text",
            postgresql_using="gin",
            postgresql_ops={"search_text": "gin_trgm_ops"},
        ),
        Index("ix_jobs_queued", "priority", "created_at", postgresql_where=text("status = 'queued'")),
        Index("ix_jobs_active", "lease_expires_at", postgresql_where=text("token IS NOT NULL")),
        Index("ix_jobs_finished", "status", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        Index("ix_jobs_validating", "created_at", postgresql_where=text("status = 'validating_files'")),
    )

    id: Mapped[str] = mapped_column(primary_key=True)

    # What was asked. `spec` is the checked body of the request; the method in it has its defaults filled in.
    spec: Mapped[dict[str, Any]]
    model: Mapped[str]  # as the client named it
    base_model: Mapped[str]  # the catalogue's id
    parent_model_id: Mapped[str | None] = mapped_column(ForeignKey("models.id", use_alter=True), index=True)
    training_file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"), index=True)
    validation_file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"), index=True)
    replay_file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"), index=True)
    seed: Mapped[int] = mapped_column(BigInteger)
    # The key that created it.
    api_key_id: Mapped[str | None] = mapped_column(ForeignKey("api_keys.id"))
    priority: Mapped[int] = mapped_column(default=0, server_default="0")
    needed_devices: Mapped[int] = mapped_column(default=0, server_default="0")

    # Where it stands, and why.
    status: Mapped[str]
    status_reason: Mapped[str | None]
    # Since when it waits for a slot, or has waited before its last attempt; until it is first queued, its creation.
    queued_at: Mapped[datetime] = mapped_column(server_default=func.now())
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    event_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    log_seq: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    step: Mapped[int | None]
    total_steps: Mapped[int | None]
    trained_tokens: Mapped[int | None] = mapped_column(BigInteger)
    estimated_finish: Mapped[datetime | None]
    # What the trainer chose where the spec says auto.
    resolved: Mapped[dict[str, Any] | None]

    # What it cost, over all attempts, lost ones too. GPU-seconds: devices held x wall time.
    cpu_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    gpu_seconds: Mapped[float] = mapped_column(default=0.0, server_default="0")
    input_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")
    output_bytes: Mapped[int] = mapped_column(BigInteger, default=0, server_default="0")

    # What it yielded.
    fine_tuned_model: Mapped[str | None]
    result_file_id: Mapped[str | None] = mapped_column(ForeignKey("files.id"))

    # The fence of the current attempt, and what earlier ones cost.
    token: Mapped[int | None] = mapped_column(BigInteger)
    lease_expires_at: Mapped[datetime | None]
    worker_id: Mapped[str | None]
    losses: Mapped[int] = mapped_column(default=0, server_default="0")
    faults: Mapped[int] = mapped_column(default=0, server_default="0")
    # Since when nothing has been trained although something should be; null: an attempt trains, or nobody wants it to.
    interrupted_at: Mapped[datetime | None]

    # What lists are searched for, in lower case, a line a value; the function is the migrations'. Never loaded.
    search_text: Mapped[str] = mapped_column(
        Text,
        Computed("job_search_text(id, model, base_model, fine_tuned_model, spec, error)", persisted=True),
        deferred=True,
        nullable=True,
    )


# The files that a job reads, by their keys in its spec; those below `method` are without its path.
INPUTS = {
    "training_file": Job.training_file_id,
    "validation_file": Job.validation_file_id,
    "replay.file": Job.replay_file_id,
}

# The names of the models that a ppo job is rewarded by.
REWARD_MODELS = Job.spec["method"]["ppo"]["reward_models"]

# What lists are narrowed down to. Written as the queries are: an index serves the same expression only.
Index("ix_jobs_method", text("(spec['method'] ->> 'type')"), Job.created_at, Job.id)
Index(
    "ix_jobs_metadata",
    Job.spec["metadata"].label("metadata"),
    postgresql_using="gin",
    postgresql_ops={"metadata": "jsonb_path_ops"},
)
Index("ix_jobs_reward_models", REWARD_MODELS.label("reward_models"), postgresql_using="gin")
