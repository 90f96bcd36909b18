# pyright: standard, reportMissingImports=false
# Copied from core/specs/integrations.py by sdk/tools/copy_core.py: change it there.
"""Where a job's figures go besides this service."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from tunesmith.specs.strict import Strict

Name = Annotated[str, StringConstraints(min_length=1, max_length=128)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Wandb(Strict):
    """A run of Weights & Biases, at the account that the operator has set."""

    project: Name = Field(description="The project that the run is put into.")
    name: Name | None = Field(default=None, description="The run's; null: the job's id.")
    entity: Name | None = Field(default=None, description="Team or user; null: the account's default.")
    tags: list[Tag] | None = Field(default=None, max_length=50, description="The run's tags.")


class WandbIntegration(Strict):
    """To Weights & Biases."""

    type: Literal["wandb"]
    wandb: Wandb


class Mlflow(Strict):
    """A run of the MLflow server that the operator has set."""

    experiment: Name = Field(description="The experiment that the run is put into; made where there is none.")
    name: Name | None = Field(default=None, description="The run's; null: the job's id.")
    tags: dict[Tag, Name] | None = Field(default=None, max_length=50, description="The run's tags.")


class MlflowIntegration(Strict):
    """To MLflow."""

    type: Literal["mlflow"]
    mlflow: Mlflow


Integration = Annotated[WandbIntegration | MlflowIntegration, Field(discriminator="type")]
