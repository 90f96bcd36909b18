"""Grading a step's answers while training, and what the methods tell of it."""

from collections.abc import Callable, Collection, Mapping, Sequence
from statistics import fmean

from core.specs.graders import AnyGrader
from graders.outcome import Outcome
from graders.sample import Sample
from graders.score import Scorer
from trainers.errors import GraderAway, SpecError


def graded(
    scorer: Scorer,
    grader: AnyGrader,
    samples: Sequence[Sample],
    *,
    most_failed: float,
    param: str,
    worst: Callable[..., float] = min,
    costs: Collection[str] = (),
) -> list[Outcome]:
    """An outcome for each sample; one that failed has the worst reward of all of them, and at best 0, whatever its
    other parts and the formula would give. So has each of its parts.

    An answer that makes a grader fail, or the grader of a penalty, would gain by it otherwise.

    Args:
        most_failed: the share of samples that may fail.
        param: the grader's key in the job.
        worst: `max` where rewards are costs.
        costs: the parts whose weights are negative, by their names.

    Raises:
        SpecError: more of them could not be graded, for reasons that will not pass.
        GraderAway: likewise, with those for which a server is away.
    """
    outcomes = scorer.score(grader, samples)
    failed = [outcome for outcome in outcomes if error_of(outcome) is not None]
    away = [outcome for outcome in failed if outcome.errors.away]
    lasting = [outcome for outcome in failed if not outcome.errors.away]
    if len(lasting) / len(samples) > most_failed:  # so rounded, 29 of 100 are 0.29
        raise SpecError(_too_many(lasting, samples, param), param=param, code="grader_failed")
    if len(failed) / len(samples) > most_failed:
        raise GraderAway(_too_many([*away, *lasting], samples, param), param=param)
    fine = [outcome for outcome in outcomes if error_of(outcome) is None]
    lowest = worst([0.0, *(outcome.reward for outcome in fine)])
    for outcome in failed:
        outcome.reward = lowest
        for part in outcome.sub_rewards:
            worst_part = max if part in costs else min
            outcome.sub_rewards[part] = worst_part([0.0, *(other.sub_rewards[part] for other in fine)])
    return outcomes


def _too_many(failed: Sequence[Outcome], samples: Sequence[Sample], param: str) -> str:
    words = f"{len(failed)} of {len(samples)} answers of a step could not be graded, more than max_failed_gradings"
    return f"{param}: {words} allows; the first: {error_of(failed[0])}"


def error_of(outcome: Outcome) -> str | None:
    """Why an answer has no reward of its own."""
    return "; ".join(outcome.errors.details) or None


def scores_of(outcome: Outcome) -> dict[str, float]:
    """What the reward is made of, and the figures behind it, by their names."""
    return outcome.sub_rewards | outcome.scores


def score_means(scores: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means of answers' scores, by their names in metrics; of each over the answers that have it."""
    names = dict.fromkeys(name for one in scores for name in one)
    return {f"{name}_score_mean": fmean(one[name] for one in scores if name in one) for name in names}


def failed_gradings(errors: Sequence[str | None]) -> float:
    """How many of the answers could not be graded."""
    return float(sum(error is not None for error in errors))
