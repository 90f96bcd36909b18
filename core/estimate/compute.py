"""How much arithmetic a run takes, and whether its text suits its model's size."""

from dataclasses import dataclass

from core.estimate.task import Measured
from core.specs.base_model import Facts

# Tokens a parameter at which neither a larger model nor more text would have been the better use of the same compute
# (Hoffmann et al., 2022, arXiv 2203.15556).
COMPUTE_OPTIMAL = 20


@dataclass(frozen=True)
class Compute:
    """tokens: D, that go through the model in all. flops: 6 N D, where a frozen parameter counts 4 instead of 6."""

    parameters: int
    tokens: int
    tokens_per_parameter: float
    flops: float


def compute(facts: Facts, measured: Measured, *, rank: int | None) -> Compute:
    """Of the steps of a run, validations left out (Kaplan et al., 2020, arXiv 2001.08361, section 2.1).

    Args:
        rank: of the adapter; None where all weights are trained.
    """
    tokens = round(measured.tokens.total * measured.plan.passes)
    adapter = 0 if rank is None else facts.adapter_parameters * rank
    per_token = 6 * facts.parameters if rank is None else 4 * facts.parameters + 6 * adapter
    return Compute(facts.parameters, tokens, tokens / facts.parameters, float(per_token * tokens))
