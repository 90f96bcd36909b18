"""Answers that a run has sampled, and what graders make of them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from core.rows.chat import THINKING
from core.specs import formula
from core.specs.graders import MultiGrader, ReasoningGrader
from core.specs.reinforcement import WATCHED, Reinforcement
from graders.outcome import Outcome
from graders.reasoning import split
from graders.sample import Sample
from graders.score import Scorer
from trainers.grading import error_of, failed_gradings, graded, score_means, scores_of
from trainers.prompts import Prompts
from trainers.samples import as_read


@dataclass(frozen=True)
class Answer:
    """place: of its prompt. tokens: with those that end it; thought: those of the chain of thought.

    outcome, watched: by the grader that is optimised, and by the one that is not, if there is one and it did not fail.
    """

    place: int
    text: str
    tokens: int
    thought: int
    truncated: bool
    outcome: Outcome
    watched: Outcome | None

    @property
    def scores(self) -> dict[str, float]:
        """What the reward is made of, and other figures, by their names."""
        found = scores_of(self.outcome)
        return found | {WATCHED: self.watched.reward} if self.watched else found


class Judge:
    """Grades the answers of a batch, once; what it has graded last is `latest`, in which reward functions look.

    Args:
        ends: the tokens that end an answer.
        warn: tells people; called once, where the grader that is only watched fails.
    """

    def __init__(
        self, scorer: Scorer, options: Reinforcement, tokenizer: Any, *, ends: list[int], warn: Callable[[str], None]
    ) -> None:
        self.latest: list[Answer] = []
        self.options = options
        self._scorer, self._tokenizer, self._ends, self._warn = scorer, tokenizer, ends, warn
        self._costs = [part for part, weight in weights_of_parts(options).items() if weight < 0]
        self._has_warned = False

    def grade(self, prompts: Prompts, places: list[int], said: list[list[int]]) -> list[Answer]:
        """Grade what was said, in tokens, to the prompts at those places.

        Raises:
            SpecError: too many answers could not be graded.
        """
        options = self.options
        texts = [
            as_read(self._tokenizer, prompts.tokens[place], ids, self._ends)
            for place, ids in zip(places, said, strict=True)
        ]
        samples = [
            Sample(output_text=text, item=prompts.content[place].item)
            for place, text in zip(places, texts, strict=True)
        ]
        outcomes = graded(
            self._scorer,
            options.grader,
            samples,
            most_failed=options.max_failed_gradings,
            param="method.reinforcement.grader",
            costs=self._costs,
        )
        watched = self._watched(samples)
        self.latest = [
            Answer(place, text, len(ids), self._thought(text), ids[-1] not in self._ends, outcome, other)
            for place, text, ids, outcome, other in zip(places, texts, said, outcomes, watched, strict=True)
        ]
        return self.latest

    def _watched(self, samples: list[Sample]) -> list[Outcome | None]:
        """None where nothing is watched, or where that failed: a figure is missing then, but nothing learns from it."""
        watch = self.options.watch
        if watch is None:
            return [None] * len(samples)
        outcomes = self._scorer.score(watch, samples)
        failed = [error for error in map(error_of, outcomes) if error is not None]
        if failed and not self._has_warned:
            self._has_warned = True
            words = f"{len(failed)} of {len(samples)} answers of a step could not be graded; its figures leave out such"
            self._warn(f"method.reinforcement.watch: {words}. The first: {failed[0]}")
        return [None if error_of(outcome) else outcome for outcome in outcomes]

    def _thought(self, text: str) -> int:
        return len(self._tokenizer(split(text)[0], add_special_tokens=False)["input_ids"]) if THINKING[0] in text else 0


def weights_of_parts(options: Reinforcement) -> dict[str, float]:
    """The parts that rewards are normalised by, with their weights; none where it is the whole.

    Those of a formula are brought to one scale, so that of its weights the signs alone are left.
    """
    if options.aggregation == "sum_then_normalize":
        return {}
    if isinstance(options.grader, ReasoningGrader):
        return options.grader.weights.model_dump()
    assert isinstance(options.grader, MultiGrader), "validated"
    given = formula.weights(formula.parse(options.grader.calculate_output))
    return {name: math.copysign(1, weight) for name, weight in given.items() if weight}


def figures(answers: list[Answer]) -> dict[str, float]:
    """Means over answers, by their names without train_ or valid_; of scores over those that have them."""
    rewards = fmean(answer.outcome.reward for answer in answers)
    return {
        "reward_mean": rewards,
        "mean_reward": rewards,  # the contract has both names
        **score_means([answer.scores for answer in answers]),
        "completion_tokens_mean": fmean(answer.tokens for answer in answers),
        "reasoning_tokens_mean": fmean(answer.thought for answer in answers),
        "truncated_share": fmean(answer.truncated for answer in answers),
        "failed_gradings": failed_gradings([error_of(answer.outcome) for answer in answers]),
    }
