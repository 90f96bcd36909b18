"""Uploads in parts, idempotency keys, permissions on checkpoints, reports of files, logs, and what jobs cost."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "f67bcd9c3021"
down_revision: str | None = "d7a51b812f9f"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("request_sha256", sa.String(), nullable=False),
        sa.Column("status_code", sa.Integer(), nullable=False),
        sa.Column("response", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_idempotency_keys_project_id_projects")),
        sa.PrimaryKeyConstraint("project_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("purpose", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("mime_type", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("file_expires_after", sa.BigInteger(), nullable=True),
        sa.Column("file_id", sa.String(), nullable=True),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "status IN ('pending', 'completed', 'cancelled', 'expired')", name=op.f("ck_uploads_status")
        ),
        sa.ForeignKeyConstraint(["file_id"], ["files.id"], name=op.f("fk_uploads_file_id_files")),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], name=op.f("fk_uploads_project_id_projects")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index(
        "ix_uploads_pending", "uploads", ["expires_at"], unique=False, postgresql_where=sa.text("status = 'pending'")
    )
    op.create_table(
        "log_chunks",
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_log_chunks_job_id_jobs")),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_log_chunks")),
    )
    op.create_table(
        "upload_parts",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("upload_id", sa.String(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["upload_id"], ["uploads.id"], name=op.f("fk_upload_parts_upload_id_uploads")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_upload_parts")),
    )
    op.create_index(op.f("ix_upload_parts_upload_id"), "upload_parts", ["upload_id"], unique=False)
    op.create_table(
        "checkpoint_permissions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("checkpoint_id", sa.String(), nullable=False),
        sa.Column("project_id", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["checkpoint_id"], ["checkpoints.id"], name=op.f("fk_checkpoint_permissions_checkpoint_id_checkpoints")
        ),
        sa.ForeignKeyConstraint(
            ["project_id"], ["projects.id"], name=op.f("fk_checkpoint_permissions_project_id_projects")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_checkpoint_permissions")),
        sa.UniqueConstraint(
            "checkpoint_id", "project_id", name=op.f("uq_checkpoint_permissions_checkpoint_id_project_id")
        ),
    )
    op.create_index(
        op.f("ix_checkpoint_permissions_project_id"), "checkpoint_permissions", ["project_id"], unique=False
    )
    op.add_column("attempts", sa.Column("cpu_seconds", sa.Double(), server_default="0", nullable=False))
    op.add_column("attempts", sa.Column("gpu_seconds", sa.Double(), server_default="0", nullable=False))
    op.add_column("attempts", sa.Column("recorded_log_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column(
        "files", sa.Column("report", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True)
    )
    op.add_column("files", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index(
        "ix_files_expiring",
        "files",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("expires_at IS NOT NULL AND deleted_at IS NULL"),
    )
    op.add_column("jobs", sa.Column("api_key_id", sa.String(), nullable=True))
    op.add_column("jobs", sa.Column("log_seq", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("cpu_seconds", sa.Double(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("gpu_seconds", sa.Double(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("input_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("jobs", sa.Column("output_bytes", sa.BigInteger(), server_default="0", nullable=False))
    op.create_foreign_key(op.f("fk_jobs_api_key_id_api_keys"), "jobs", "api_keys", ["api_key_id"], ["id"])
    op.add_column("projects", sa.Column("rate_limit_per_minute", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("projects", "rate_limit_per_minute")
    op.drop_constraint(op.f("fk_jobs_api_key_id_api_keys"), "jobs", type_="foreignkey")
    op.drop_column("jobs", "output_bytes")
    op.drop_column("jobs", "input_bytes")
    op.drop_column("jobs", "gpu_seconds")
    op.drop_column("jobs", "cpu_seconds")
    op.drop_column("jobs", "log_seq")
    op.drop_column("jobs", "api_key_id")
    op.drop_index(
        "ix_files_expiring",
        table_name="files",
        postgresql_where=sa.text("expires_at IS NOT NULL AND deleted_at IS NULL"),
    )
    op.drop_column("files", "expires_at")
    op.drop_column("files", "report")
    op.drop_column("attempts", "recorded_log_bytes")
    op.drop_column("attempts", "gpu_seconds")
    op.drop_column("attempts", "cpu_seconds")
    op.drop_index(op.f("ix_checkpoint_permissions_project_id"), table_name="checkpoint_permissions")
    op.drop_table("checkpoint_permissions")
    op.drop_index(op.f("ix_upload_parts_upload_id"), table_name="upload_parts")
    op.drop_table("upload_parts")
    op.drop_table("log_chunks")
    op.drop_index("ix_uploads_pending", table_name="uploads", postgresql_where=sa.text("status = 'pending'"))
    op.drop_table("uploads")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
