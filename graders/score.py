"""Scoring a batch of samples by any grader."""

import time
from collections.abc import Sequence
from types import TracebackType

from core.specs import formula
from core.specs.asking import Ask
from core.specs.graders import (
    AnyGrader,
    LabelModel,
    MathGrader,
    MultiGrader,
    PythonGrader,
    ReasoningGrader,
    ScoreModel,
    StringCheck,
    TextSimilarity,
)
from graders import models, reasoning, sandbox, text
from graders.equivalence import Equivalence, math
from graders.monty import MontyRunner
from graders.outcome import Outcome
from graders.sample import Sample


class Scorer:
    """Scores, and keeps the processes that it needs for that from batch to batch. Not for several threads at once.

    ```python
    with Scorer(ask) as scorer:
        rewards = [outcome.reward for outcome in scorer.score(grader, samples)]
    ```

    Args:
        ask: puts questions to models.
    """

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.equivalence = Equivalence()
        self.monty = MontyRunner()

    def __enter__(self) -> "Scorer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.equivalence.__exit__(kind, error, trace)
        self.monty.__exit__(kind, error, trace)

    def score(self, grader: AnyGrader, samples: Sequence[Sample]) -> list[Outcome]:
        """An outcome for each sample, in their order. Raises nothing that is a sample's or a grader's fault."""
        started = time.perf_counter()
        outcomes = self._score(grader, samples)
        for outcome in outcomes:
            outcome.seconds = (time.perf_counter() - started) / len(samples)
        return outcomes

    def _score(self, grader: AnyGrader, samples: Sequence[Sample]) -> list[Outcome]:
        match grader:
            case StringCheck():
                return text.string_check(grader, samples)
            case TextSimilarity():
                return text.text_similarity(grader, samples, self.ask)
            case ScoreModel():
                return models.score_model(grader, samples, self.ask)
            case LabelModel():
                return models.label_model(grader, samples, self.ask)
            case PythonGrader():
                run = sandbox.full if grader.sandbox == "full" else self.monty.grade
                return run(grader, samples)
            case MathGrader():
                return math(grader, samples, self.equivalence)
            case ReasoningGrader():
                return reasoning.reasoning(grader, samples, self.ask, self.equivalence)
            case MultiGrader():
                return self._multi(grader, samples)

    def _multi(self, grader: MultiGrader, samples: Sequence[Sample]) -> list[Outcome]:
        outcomes = [Outcome() for _ in samples]
        for key, part in grader.graders.items():
            for outcome, of_part in zip(outcomes, self._score(part, samples), strict=True):
                outcome.take(key, of_part, path=f"graders.{key}")
        steps = formula.parse(grader.calculate_output)
        for outcome in outcomes:
            outcome.scores = dict(outcome.sub_rewards)
            try:
                outcome.reward = formula.evaluate(steps, outcome.sub_rewards)
            except formula.FormulaError as error:
                outcome.errors.other_error = True
                outcome.errors.details.append(f"calculate_output: {error}")
        return outcomes
