"""PPO's equations beside slow ones, written from the papers token by token."""

import math
import random
from statistics import fmean, pvariance

import pytest
import torch

from trainers import ppo_math
from trainers.ppo_math import KlController

LENGTHS = [5, 1, 3, 7]
GAMMA, LAMBDA, BETA, CLIP = 0.9, 0.8, 0.3, 0.2


@pytest.fixture
def draw() -> random.Random:
    return random.Random(0)


@pytest.fixture
def mask() -> torch.Tensor:
    return torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]


def numbers(draw: random.Random) -> list[list[float]]:
    return [[draw.gauss(0, 1) for _ in range(length)] for length in LENGTHS]


def padded(rows: list[list[float]], *, behind: float = 0.0) -> torch.Tensor:
    return torch.tensor([row + [behind] * (max(LENGTHS) - len(row)) for row in rows], dtype=torch.float64)


def test_rewards_are_the_price_of_distance_and_the_score_at_the_last_token(
    draw: random.Random, mask: torch.Tensor
) -> None:
    ratios, scores = numbers(draw), [draw.gauss(0, 1) for _ in LENGTHS]
    expected = [[-BETA * ratio for ratio in row] for row in ratios]
    for row, score in zip(expected, scores, strict=True):
        row[-1] += score
    found = ppo_math.token_rewards(
        torch.tensor(scores, dtype=torch.float64), padded(ratios, behind=9.0), mask, kl_coefficient=BETA
    )
    torch.testing.assert_close(found, padded(expected))


def test_advantages_are_discounted_sums_of_surprises(draw: random.Random, mask: torch.Tensor) -> None:
    """A_t = Σ_l (γλ)^l δ_{t+l}; what stands behind an answer's end counts for nothing."""
    rewards, values = numbers(draw), numbers(draw)
    expected = []
    for row, of_row in zip(rewards, values, strict=True):
        ahead = [*of_row, 0.0]
        surprise = [reward + GAMMA * ahead[t + 1] - ahead[t] for t, reward in enumerate(row)]
        sums = [(GAMMA * LAMBDA) ** (k - t) * surprise[k] for t in range(len(row)) for k in range(t, len(row))]
        ends = [sum(len(row) - i for i in range(t + 1)) for t in range(len(row))]
        expected.append([sum(sums[(ends[t - 1] if t else 0) : ends[t]]) for t in range(len(row))])
    found = ppo_math.advantages(
        padded(rewards, behind=9.0), padded(values, behind=-9.0), mask, gamma=GAMMA, gae_lambda=LAMBDA
    )
    torch.testing.assert_close(found, padded(expected))


def test_with_lambda_1_advantages_and_values_make_the_discounted_rewards(
    draw: random.Random, mask: torch.Tensor
) -> None:
    rewards, values = numbers(draw), numbers(draw)
    returns = [[sum(GAMMA ** (k - t) * row[k] for k in range(t, len(row))) for t in range(len(row))] for row in rewards]
    found = ppo_math.advantages(padded(rewards), padded(values), mask, gamma=GAMMA, gae_lambda=1.0) + padded(values)
    torch.testing.assert_close(found, padded(returns))


def test_whitened_advantages_have_mean_0_and_variance_1_over_tokens(draw: random.Random, mask: torch.Tensor) -> None:
    rows = numbers(draw)
    flat = [value for row in rows for value in row]
    expected = [[(value - fmean(flat)) / math.sqrt(pvariance(flat)) for value in row] for row in rows]
    torch.testing.assert_close(ppo_math.whitened(padded(rows, behind=9.0), mask), padded(expected), atol=1e-6, rtol=0)


def test_the_policy_gains_by_moving_as_far_as_the_clip_only() -> None:
    """Equation 7: min(r A, clip(r, 1 - ε, 1 + ε) A), each side, for better and for worse."""
    for ratio in (0.5, 0.79, 0.9, 1.0, 1.1, 1.21, 3.0):
        for advantage in (-2.0, 0.0, 1.5):
            new = torch.tensor([math.log(0.1 * ratio)], dtype=torch.float64, requires_grad=True)
            old, gain = torch.tensor([math.log(0.1)], dtype=torch.float64), torch.tensor([advantage])
            loss = ppo_math.policy_losses(new, old, gain, clip_range=CLIP)
            clipped = min(max(ratio, 1 - CLIP), 1 + CLIP)
            assert float(loss.detach()) == pytest.approx(-min(ratio * advantage, clipped * advantage))
            loss.sum().backward()
            gains = (advantage > 0 and ratio > 1 + CLIP) or (advantage < 0 and ratio < 1 - CLIP)
            assert new.grad is not None
            assert float(new.grad) == pytest.approx(0 if gains else -ratio * advantage)


@pytest.mark.parametrize("clip_range", [None, 0.5])
def test_a_value_gains_by_moving_as_far_as_the_clip_only(clip_range: float | None) -> None:
    for value in (-2.0, -0.4, 0.0, 0.3, 2.0):
        for target in (-1.0, 0.2, 3.0):
            losses = [(value - target) ** 2 / 2]
            if clip_range is not None:
                losses.append((min(max(value, -clip_range), clip_range) - target) ** 2 / 2)
            one = [torch.tensor([number]) for number in (value, 0.0, target)]
            found = ppo_math.value_losses(*one, clip_range=clip_range)
            assert float(found) == pytest.approx(max(losses))


def test_the_approximate_kl_is_the_divergence_in_the_mean() -> None:
    old, new = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([0.3, 0.3, 0.4])
    found = ppo_math.approximate_kl(new.log(), old.log())
    assert float((old * found).sum()) == pytest.approx(float((old * (old / new).log()).sum()), rel=1e-5)
    assert bool((found >= 0).all())


def test_explained_variance_is_1_of_foresight_and_0_of_a_constant() -> None:
    returns = torch.tensor([1.0, 2.0, 4.0])
    assert ppo_math.explained_variance(returns + 5, returns) == pytest.approx(1)
    assert ppo_math.explained_variance(torch.zeros(3), returns) == pytest.approx(0)
    assert ppo_math.explained_variance(-returns, returns) == pytest.approx(-3)
    assert ppo_math.explained_variance(torch.zeros(3), torch.ones(3)) == 0


def test_the_coefficient_is_steered_towards_the_target_and_never_by_more_than_a_fifth_a_horizon() -> None:
    controller, expected = KlController(0.1, 6.0, 100), 0.1
    for kl in (0.0, 5.9, 6.0, 6.6, 50.0, -3.0):
        controller.update(kl, answers=40)
        expected *= 1 + max(-0.2, min(0.2, kl / 6 - 1)) * 40 / 100
        assert controller.coefficient == pytest.approx(expected)
    still = KlController(0.1, None, 100)
    still.update(1000.0, answers=40)
    assert still.coefficient == 0.1
