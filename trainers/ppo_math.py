"""The equations of proximal policy optimisation on language models.

Tensors are [answers, tokens] where nothing else is said; `mask` is true at an answer's tokens, of which each answer has
at least one, and false behind them.
"""

from dataclasses import dataclass

import torch


def token_rewards(
    scores: torch.Tensor, log_ratios: torch.Tensor, mask: torch.Tensor, *, kl_coefficient: float
) -> torch.Tensor:
    """What each token earns: nothing but what its distance costs, and the last one the answer's score, too.

    R = r − β · (log π − log ρ): Ziegler et al., 2019, arXiv 1909.08593, equation 2, token by token.

    Args:
        scores: [answers]
        log_ratios: log π − log ρ of each token, by the policy and by the reference, in nats.
    """
    rewards = -kl_coefficient * log_ratios * mask
    rewards[torch.arange(len(scores), device=scores.device), mask.sum(-1) - 1] += scores
    return rewards


def advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, *, gamma: float, gae_lambda: float
) -> torch.Tensor:
    """Generalised advantage estimation: Schulman et al., 2015, arXiv 1506.02438, section 3, equation 16.

    δ_t = r_t + γ V_{t+1} − V_t and A_t = δ_t + γ λ A_{t+1}; behind the last token both V and A are 0.
    """
    found = torch.zeros_like(values)
    ahead = values_ahead = torch.zeros_like(values[:, 0])
    for t in reversed(range(values.shape[1])):
        delta = rewards[:, t] + gamma * values_ahead - values[:, t]
        ahead = torch.where(mask[:, t], delta + gamma * gae_lambda * ahead, 0.0)
        values_ahead = torch.where(mask[:, t], values[:, t], 0.0)
        found[:, t] = ahead
    return found


def whitened(advantages: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Of mean 0 and variance 1 over all tokens (Andrychowicz et al., 2020, arXiv 2006.05990, section 3.3)."""
    found = advantages[mask]
    return torch.where(mask, (advantages - found.mean()) / (found.std(correction=0) + 1e-8), 0.0)


def policy_losses(
    log_probabilities: torch.Tensor, old: torch.Tensor, advantages: torch.Tensor, *, clip_range: float
) -> torch.Tensor:
    """The clipped surrogate: Schulman et al., 2017, arXiv 1707.06347, equation 7, as a loss. All are [tokens].

    Args:
        old: log-probabilities by the policy that sampled.
    """
    ratio = (log_probabilities - old).exp()
    clipped = ratio.clamp(1 - clip_range, 1 + clip_range)
    return torch.maximum(-advantages * ratio, -advantages * clipped)


def value_losses(
    values: torch.Tensor, old: torch.Tensor, returns: torch.Tensor, *, clip_range: float | None
) -> torch.Tensor:
    """Half of the squared error, which a value has no gain from leaving behind by moving further than `clip_range`.

    All are [tokens]. From the code of arXiv 1707.06347; written down by Engstrom et al., 2020, arXiv 2005.12729,
    section 3.
    """
    errors = (values - returns) ** 2
    if clip_range is not None:
        clipped = old + (values - old).clamp(-clip_range, clip_range)
        errors = torch.maximum(errors, (clipped - returns) ** 2)
    return errors / 2


def approximate_kl(log_probabilities: torch.Tensor, old: torch.Tensor) -> torch.Tensor:
    """[tokens]: in nats, never below 0, and in the mean the divergence of the policy from the one that sampled.

    (r − 1) − log r: Schulman, 2020, "Approximating KL Divergence", http://joschu.net/blog/kl-approx.html.
    """
    log_ratio = log_probabilities - old
    return log_ratio.exp() - 1 - log_ratio


def explained_variance(values: torch.Tensor, returns: torch.Tensor) -> float:
    """1 − Var(returns − values) / Var(returns), of [tokens]: 1 is foresight, 0 what a constant would do."""
    variance = float(returns.var(correction=0))
    return 1 - float((returns - values).var(correction=0)) / variance if variance else 0.0


@dataclass
class KlController:
    """β, the price of a nat, steered so that answers come to be `target` nats away from the reference's.

    Ziegler et al., 2019, section 2.2: β becomes β (1 + K · clip(KL / target − 1, ±0.2)), where their code has
    answers / horizon for K.
    """

    coefficient: float
    target: float | None
    horizon: int

    def update(self, kl: float, *, answers: int) -> None:
        """Count a step in.

        Args:
            kl: mean over its answers, in nats.
        """
        if self.target is not None:
            error = min(max(kl / self.target - 1, -0.2), 0.2)
            self.coefficient *= 1 + error * answers / self.horizon
