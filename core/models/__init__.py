"""The tables, one a file. Importing this package registers all of them on `Base.metadata`."""

from core.models.api_key import ApiKey
from core.models.artifact import Artifact
from core.models.attempt import Attempt, attempt_token
from core.models.base import Base
from core.models.checkpoint import Checkpoint
from core.models.checkpoint_permission import CheckpointPermission
from core.models.event import Event
from core.models.export import Export
from core.models.file import File
from core.models.idempotency_key import IdempotencyKey
from core.models.job import Job
from core.models.log_chunk import LogChunk
from core.models.metric import Metric
from core.models.model import Model
from core.models.observation import Observation
from core.models.organization import Organization
from core.models.project import Project
from core.models.prompt_check import PromptCheck
from core.models.tally import Tally
from core.models.upload import Upload
from core.models.upload_part import UploadPart
from core.models.webhook_delivery import WebhookDelivery
from core.models.webhook_endpoint import WebhookEndpoint
from core.models.worker import Worker

__all__ = [
    "ApiKey",
    "Artifact",
    "Attempt",
    "Base",
    "Checkpoint",
    "CheckpointPermission",
    "Event",
    "Export",
    "File",
    "IdempotencyKey",
    "Job",
    "LogChunk",
    "Metric",
    "Model",
    "Observation",
    "Organization",
    "Project",
    "PromptCheck",
    "Tally",
    "Upload",
    "UploadPart",
    "WebhookDelivery",
    "WebhookEndpoint",
    "Worker",
    "attempt_token",
]
