# pyright: standard, reportMissingImports=false
# Copied from core/specs/method.py by sdk/tools/copy_core.py: change it there.
"""The training methods: `method.type` names one, and the object of the same name holds its options."""

from typing import Annotated

from pydantic import Field

from tunesmith.specs.dpo import DpoMethod
from tunesmith.specs.reward_model import RewardModelMethod
from tunesmith.specs.supervised import SupervisedMethod

# The kinds of rows, as validation names them (core.rows.kinds), that each method learns from.
USABLE_KINDS = {
    "supervised": ("messages", "prompt_completion", "instruction_response", "reasoning"),
    "dpo": ("preference", "prompt_chosen_rejected"),
    "reward_model": ("preference", "prompt_chosen_rejected", "margin", "ranking"),
}

Method = Annotated[SupervisedMethod | DpoMethod | RewardModelMethod, Field(discriminator="type")]
