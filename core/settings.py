"""Every setting of the server, read from `TUNESMITH_*` environment variables; docs/deployment.md describes each one."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PACKAGED_CATALOGUE = Path(__file__).parent / "registry" / "catalogue.yaml"


class Settings(BaseSettings):
    """Settings of the API, the workers and the reconciler; durations are seconds, sizes are bytes."""

    model_config = SettingsConfigDict(env_prefix="TUNESMITH_", extra="ignore")

    # The three services.
    database_url: str = "postgresql+psycopg://tunesmith@127.0.0.1:5432/tunesmith"
    database_pool_size: int = Field(default=10, ge=1)
    redis_url: SecretStr = SecretStr("redis://127.0.0.1:6379/0")
    s3_endpoint_url: str | None = None
    s3_public_endpoint_url: str | None = None
    s3_region: str = "us-east-1"
    s3_bucket: str = Field(default="tunesmith", min_length=3)
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None
    s3_timeout_seconds: float = Field(default=60.0, gt=0)

    # Every process.
    log_format: Literal["text", "json"] = "text"

    # The API.
    organization_name: str = "tunesmith"
    file_max_bytes: int = Field(default=512 * 1024 * 1024, ge=1)
    upload_max_bytes: int = Field(default=8 * 1024**3, ge=1)
    upload_part_max_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    upload_seconds: int = Field(default=3600, ge=1)
    idempotency_seconds: int = Field(default=24 * 3600, ge=1)
    rate_limit_per_minute: int = Field(default=3000, ge=0)
    key_cache_seconds: float = Field(default=5.0, ge=0)
    presign_seconds: int = Field(default=3600, ge=1, le=7 * 24 * 3600)
    cost_per_cpu_hour: float | None = Field(default=None, ge=0)
    cost_per_gpu_hour: float | None = Field(default=None, ge=0)
    cost_currency: str = "USD"
    initialization_max_parameters: int = Field(default=2_000_000_000, ge=1)

    # Base models that may be trained.
    catalogue: Path = PACKAGED_CATALOGUE
    model_aliases: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)

    # The workers.
    work_dir: Path = Path(".tunesmith/work")
    cpu_slots: int = Field(default=1, ge=1)
    trainer_threads: int | None = Field(default=None, ge=1)
    trainer_memory_bytes: int | None = Field(default=None, ge=64 * 1024**2)
    run_max_bytes: int = Field(default=200 * 1024**3, ge=1024**2)
    disk_reserve_bytes: int = Field(default=256 * 1024**2, ge=0)
    cache_max_bytes: int = Field(default=50 * 1024**3, ge=1)
    log_max_bytes: int = Field(default=1024 * 1024, ge=128 * 1024)
    lease_seconds: float = Field(default=30.0, gt=0)
    poll_seconds: float = Field(default=5.0, gt=0)
    drain_seconds: float = Field(default=60.0, ge=0)
    max_faults: int = Field(default=3, ge=1)
    max_losses: int = Field(default=10, ge=1)

    # The reconciler.
    orphan_seconds: int = Field(default=24 * 3600, ge=3600)

    # Where jobs' figures may go: a job's integration is refused unless it is set here.
    mlflow_tracking_uri: str | None = None
    mlflow_tracking_token: SecretStr | None = None
    mlflow_tracking_username: str | None = None
    mlflow_tracking_password: SecretStr | None = None
    wandb_api_key: SecretStr | None = None
    wandb_base_url: str = "https://api.wandb.ai"
    wandb_mode: Literal["online", "offline"] = "online"

    # OpenAI-compatible servers that graders may ask, by base URLs (ending in /v1). Null: such graders are refused.
    grader_model_url: str | None = None
    grader_model_key: SecretStr | None = None
    grader_embeddings_url: str | None = None
    grader_embeddings_key: SecretStr | None = None
    grader_embeddings_model: str = "text-embedding-3-large"

    # Webhooks may go to addresses that are not public, and over plain http.
    webhook_private_targets: bool = False

    @field_validator("model_aliases", mode="before")
    @classmethod
    def read_aliases(cls, value: object) -> object:
        """`alias=model,alias=model`"""
        if not isinstance(value, str):
            return value
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if wrong := [alias for alias, equals, model in pairs if not (equals and alias.strip() and model.strip())]:
            raise ValueError(f"write alias=model, separated by commas; given {wrong[0]!r}")
        return {alias.strip(): model.strip() for alias, _, model in pairs}

    @field_validator("grader_model_url", "grader_embeddings_url")
    @classmethod
    def is_base_url(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError(f"must begin with http:// or https://; given {value[:80]!r}")
        return value.rstrip("/") if value is not None else None

    @field_validator("mlflow_tracking_uri")
    @classmethod
    def has_no_secret(cls, value: str | None) -> str | None:
        """Jobs' owners see it in the addresses of their runs."""
        if value is not None and "@" in value:
            raise ValueError("names a user: set TUNESMITH_MLFLOW_TRACKING_USERNAME and …_PASSWORD instead")
        return value

    @property
    def integrations(self) -> frozenset[str]:
        """The types of integrations that are set."""
        wandb = self.wandb_api_key is not None or self.wandb_mode == "offline"
        there = {"mlflow": self.mlflow_tracking_uri is not None, "wandb": wandb}
        return frozenset(type for type, is_set in there.items() if is_set)

    @property
    def heartbeat_seconds(self) -> float:
        """Three heartbeats fit into a lease, so that one lost round trip does not cost the job."""
        return self.lease_seconds / 3


@lru_cache
def get_settings() -> Settings:
    return Settings()
