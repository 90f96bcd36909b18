# pyright: standard, reportMissingImports=false
# Copied from core/specs/method.py by sdk/tools/copy_core.py: change it there.
"""The training methods: `method.type` names one, and the object of the same name holds its options."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from tunesmith.specs.dpo import DpoMethod
from tunesmith.specs.graders import Grader
from tunesmith.specs.initialization import InitializationMethod
from tunesmith.specs.kto import KtoMethod
from tunesmith.specs.ppo import PpoMethod
from tunesmith.specs.pretraining import PretrainingMethod
from tunesmith.specs.reinforcement import ReinforcementMethod
from tunesmith.specs.reward_model import RewardModelMethod
from tunesmith.specs.supervised import SupervisedMethod
from tunesmith.specs.training import Training

# The kinds of rows, as validation names them (core.rows.kinds), that each method learns from.
USABLE_KINDS = {
    "initialization": ("text",),
    "pretraining": ("text",),
    "supervised": ("messages", "prompt_completion", "instruction_response", "reasoning"),
    "dpo": ("preference", "prompt_chosen_rejected"),
    "kto": ("feedback",),
    "reward_model": ("preference", "prompt_chosen_rejected", "margin", "ranking"),
    "ppo": ("prompt", "problem", "reasoning"),
    "reinforcement": ("prompt", "problem", "reasoning"),
}

ROLLOUTS = ("ppo", "reinforcement")  # methods whose rows are prompts, which the model answers

Method = Annotated[
    InitializationMethod
    | PretrainingMethod
    | SupervisedMethod
    | RewardModelMethod
    | DpoMethod
    | KtoMethod
    | PpoMethod
    | ReinforcementMethod,
    Field(discriminator="type"),
]


def graders(method: Method) -> Iterator[tuple[str, Grader]]:
    """(its key in the job, grader) of each grader that the method has."""
    for key in ("grader", "watch"):
        grader = getattr(method.options, key, None)
        if grader is not None:
            yield f"method.{method.type}.{key}", grader


def training_options(method: Method) -> Training:
    """The options of a method that trains, which is every one but initialization."""
    options = method.options
    assert isinstance(options, Training)
    return options
