"""Answers that a run has sampled, and what graders make of them."""

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

    outcome, watched: by the grader that is optimised, and by the one that is not.
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
    """

    def __init__(self, scorer: Scorer, options: Reinforcement, tokenizer: Any, *, ends: list[int]) -> None:
        self.latest: list[Answer] = []
        self.options = options
        self._scorer, self._tokenizer, self._ends = scorer, tokenizer, ends

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
        outcomes = self._graded(options.grader, samples, key="grader")
        watched = self._graded(options.watch, samples, key="watch") if options.watch else [None] * len(samples)
        self.latest = [
            Answer(place, text, len(ids), self._thought(text), ids[-1] not in self._ends, outcome, other)
            for place, text, ids, outcome, other in zip(places, texts, said, outcomes, watched, strict=True)
        ]
        return self.latest

    def _graded(self, grader: Any, samples: list[Sample], *, key: str) -> list[Outcome]:
        most, param = self.options.max_failed_gradings, f"method.reinforcement.{key}"
        return graded(self._scorer, grader, samples, most_failed=most, param=param)

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
