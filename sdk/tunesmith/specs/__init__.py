"""The body of a job, typed: `JobSpec` and what it is made of. The server checks the same models."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from typing_extensions import TypedDict

from tunesmith.specs.dpo import Dpo, DpoMethod
from tunesmith.specs.graders import (
    ContentPart,
    EvalMessage,
    LabelModel,
    MathGrader,
    MultiGrader,
    PythonGrader,
    ReasoningGrader,
    ReasoningWeights,
    SamplingParams,
    ScoreModel,
    StringCheck,
    TextSimilarity,
)
from tunesmith.specs.initialization import (
    BpeTokenizer,
    CharacterTokenizer,
    Initialization,
    InitializationMethod,
    ModelTokenizer,
    Sizes,
)
from tunesmith.specs.integrations import Integration, Mlflow, MlflowIntegration, Wandb, WandbIntegration
from tunesmith.specs.job import JobSpec, Resources
from tunesmith.specs.kto import Kto, KtoHyperparameters, KtoMethod
from tunesmith.specs.lora import Lora
from tunesmith.specs.method import Method
from tunesmith.specs.optimization import Optimization
from tunesmith.specs.ppo import Ppo, PpoMethod
from tunesmith.specs.pretraining import Pretraining, PretrainingMethod
from tunesmith.specs.reference import ReferenceHyperparameters
from tunesmith.specs.reinforcement import Reinforcement, ReinforcementHyperparameters, ReinforcementMethod
from tunesmith.specs.reward_model import RewardModel, RewardModelMethod
from tunesmith.specs.rollouts import RolloutHyperparameters
from tunesmith.specs.supervised import Supervised, SupervisedMethod
from tunesmith.specs.training import EarlyStopping, Hyperparameters, Replay, Samples, ScoredSamples

__all__ = [
    "BpeTokenizer",
    "CharacterTokenizer",
    "ContentPart",
    "Dpo",
    "DpoMethod",
    "EarlyStopping",
    "EvalMessage",
    "Hyperparameters",
    "Initialization",
    "InitializationMethod",
    "Integration",
    "JobFields",
    "JobSpec",
    "Kto",
    "KtoHyperparameters",
    "KtoMethod",
    "LabelModel",
    "Lora",
    "MathGrader",
    "Method",
    "Mlflow",
    "MlflowIntegration",
    "ModelTokenizer",
    "MultiGrader",
    "Optimization",
    "Ppo",
    "PpoMethod",
    "Pretraining",
    "PretrainingMethod",
    "PythonGrader",
    "ReasoningGrader",
    "ReasoningWeights",
    "ReferenceHyperparameters",
    "Reinforcement",
    "ReinforcementHyperparameters",
    "ReinforcementMethod",
    "Replay",
    "Resources",
    "RewardModel",
    "RewardModelMethod",
    "RolloutHyperparameters",
    "Samples",
    "SamplingParams",
    "ScoreModel",
    "ScoredSamples",
    "Sizes",
    "StringCheck",
    "Supervised",
    "SupervisedMethod",
    "TextSimilarity",
    "Wandb",
    "WandbIntegration",
]


class JobFields(TypedDict, total=False):
    """The fields of `JobSpec` as keyword arguments; a file may be a `Path`, which is uploaded, or a file's id."""

    model: str | None
    training_file: str | PathLike[str] | None
    validation_file: str | PathLike[str] | None
    suffix: str | None
    seed: int | None
    method: Method | Mapping[str, Any] | None
    metadata: dict[str, str] | None
    resources: Resources | Mapping[str, Any] | None
    max_duration_seconds: int | None
    hyperparameters: Hyperparameters | Mapping[str, Any] | None
    integrations: Sequence[Integration | Mapping[str, Any]] | None


def body(spec: JobSpec | Mapping[str, Any] | None, fields: Mapping[str, Any]) -> dict[str, Any]:
    """What to send: of models, what was set; `fields` win over `spec`; of both, only what is not None."""
    from_spec: Mapping[str, Any] = _plain(spec) if spec is not None else {}
    given = {key: _plain(value) for key, value in {**from_spec, **fields}.items()}
    return {key: value for key, value in given.items() if value is not None}


def _plain(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return value if dump is None else dump(mode="json", exclude_unset=True)
