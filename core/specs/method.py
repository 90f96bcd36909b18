"""The training methods: `method.type` names one, and the object of the same name holds its options."""

from core.specs.supervised import SupervisedMethod

# The kinds of rows, as validation names them (core.rows.chat), that each method learns from.
USABLE_KINDS = {"supervised": ("messages", "prompt_completion", "instruction_response", "reasoning")}

# A discriminated union as soon as there is a second method.
Method = SupervisedMethod
