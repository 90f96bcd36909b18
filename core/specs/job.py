"""The body of `POST /v1/fine_tuning/jobs`."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from core.specs.integrations import Integration
from core.specs.method import Method
from core.specs.strict import Strict
from core.specs.supervised import SupervisedMethod
from core.specs.training import Hyperparameters

FileId = Annotated[str, Field(min_length=1, max_length=64)]
MetadataKey = Annotated[str, StringConstraints(min_length=1, max_length=64)]
MetadataValue = Annotated[str, StringConstraints(max_length=512)]
# Part of the model's public name, in which ':' separates and '/' would break clients' URLs.
SUFFIX = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"


def _check_suffix(suffix: str) -> str:
    if not re.fullmatch(SUFFIX, suffix):
        raise ValueError(
            f"1 to 64 letters, digits, '.', '_' and '-' are allowed, first a letter or digit; given {suffix[:80]!r}"
        )
    return suffix


Suffix = Annotated[str, AfterValidator(_check_suffix), WithJsonSchema({"type": "string", "pattern": SUFFIX})]


class Resources(Strict):
    """What the job needs of the machine that runs it."""

    gpus: Annotated[int, Field(ge=0, le=1)] | None = Field(
        default=None, description="GPUs; null: one where the worker has them, else none."
    )


class JobSpec(Strict):
    """What a client asks for; `model` and the files are checked against what the project can see."""

    model: Annotated[str, Field(min_length=1, max_length=256)] | None = Field(
        description="Where training begins: a model of the catalogue, an alias, or a model or checkpoint that an "
        "earlier job made. Of initialization: whose tokenizer is taken, where one is.",
    )
    training_file: FileId | None = Field(
        description="Id of an uploaded file. Of initialization: what a tokenizer is learnt from, where one is."
    )
    validation_file: str | None = Field(
        default=None, min_length=1, max_length=64, description="Id of a file whose rows are never trained."
    )
    suffix: Suffix | None = Field(default=None, description="Part of the name of the model that the job makes.")
    seed: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="Of all that is drawn; null: the service draws one and keeps it."
    )
    method: Method = Field(default_factory=SupervisedMethod, description="How to train; null: supervised.")
    metadata: dict[MetadataKey, MetadataValue] | None = Field(
        default=None, max_length=16, description="The client's own notes: keys of 64, values of 512 characters."
    )
    resources: Resources = Field(default_factory=Resources)
    max_duration_seconds: int | None = Field(
        default=None,
        ge=60,
        le=366 * 24 * 3600,
        description="Training time, over all attempts, at which the job fails; its last checkpoint is kept.",
    )
    hyperparameters: Hyperparameters | None = Field(
        default=None,
        deprecated=True,
        description="The contract's old place for those of a supervised job; method.supervised is the new one.",
    )
    integrations: list[Integration] | None = Field(
        default=None, max_length=4, description="Where the job's figures go besides this service."
    )

    @model_validator(mode="after")
    def quantization_needs_a_gpu(self) -> "JobSpec":
        if self.method.options.quantization and self.resources.gpus == 0:
            raise ValueError("quantization needs a GPU, but resources.gpus is 0")
        return self

    @model_validator(mode="before")
    @classmethod
    def move_old_hyperparameters(cls, body: Any) -> Any:
        """Clients of the contract's first version send hyperparameters at the top level: they mean supervised."""
        if not isinstance(body, dict) or body.get("hyperparameters") is None:
            return body
        if body.get("method") is not None:
            raise ValueError("give hyperparameters inside method, or at the top level (deprecated), not in both places")
        moved = {"type": "supervised", "supervised": {"hyperparameters": body["hyperparameters"]}}
        return {**body, "hyperparameters": None, "method": moved}

    @model_validator(mode="before")
    @classmethod
    def initialization_needs_no_model(cls, body: Any) -> Any:
        """Every other method needs a model and a training file: they have no default."""
        method = body.get("method") if isinstance(body, dict) else None
        type_ = method.get("type") if isinstance(method, dict) else getattr(method, "type", None)
        return {"model": None, "training_file": None, **body} if type_ == "initialization" else body

    @model_validator(mode="before")
    @classmethod
    def no_type_means_supervised(cls, body: Any) -> Any:
        method = body.get("method") if isinstance(body, dict) else None
        return {**body, "method": {"type": "supervised", **method}} if isinstance(method, dict) else body

    @model_validator(mode="before")
    @classmethod
    def null_means_default(cls, body: Any) -> Any:
        """The contract's clients may send null for whatever is optional."""
        return {k: v for k, v in body.items() if v is not None} if isinstance(body, dict) else body
