"""Answers that a run has sampled, and what graders make of them."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from core.rows.chat import THINKING
from core.specs.graders import ReasoningGrader
from core.specs.reinforcement import WATCHED, Reinforcement
from graders.outcome import Outcome
from graders.reasoning import split
from graders.sample import Sample
from graders.score import Scorer
from trainers.grading import error_of, failed_gradings, graded, score_means, scores_of
from trainers.prompts import Prompts
from trainers.samples import as_text

OPENING = 8  # tokens at the end of a prompt that may hold THINKING[0]


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
        self._has_warned = False

    def grade(self, prompts: Prompts, places: list[int], said: list[list[int]]) -> list[Answer]:
        """Grade what was said, in tokens, to the prompts at those places.

        Raises:
            SpecError: too many answers could not be graded.
        """
        options = self.options
        texts = [self._text(prompts.tokens[place], ids) for place, ids in zip(places, said, strict=True)]
        samples = [
            Sample(output_text=text, item=prompts.content[place].item)
            for place, text in zip(places, texts, strict=True)
        ]
        most, param = options.max_failed_gradings, "method.reinforcement.grader"
        outcomes = graded(self._scorer, options.grader, samples, most_failed=most, param=param)
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

    def _text(self, prompt: list[int], ids: list[int]) -> str:
        """As a reader sees it: without the end of the turn, and with the think block that the prompt has opened."""
        text = as_text(self._tokenizer, ids, self._ends)
        opened = self._tokenizer.decode(prompt[-OPENING:]).rstrip().endswith(THINKING[0])
        return f"{THINKING[0]}\n{text}" if opened else text

    def _thought(self, text: str) -> int:
        return len(self._tokenizer(split(text)[0], add_special_tokens=False)["input_ids"]) if THINKING[0] in text else 0


def weights_of_parts(options: Reinforcement) -> dict[str, float]:
    """The parts that rewards are normalised by, with their weights; none where it is the whole."""
    if options.aggregation == "sum_then_normalize":
        return {}
    if isinstance(options.grader, ReasoningGrader):
        return options.grader.weights.model_dump()
    return dict.fromkeys(options.grader.graders, 1.0)  # pyright: ignore[reportAttributeAccessIssue] - multi: validated


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
