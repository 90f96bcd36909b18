"""What an answer is worth in PPO: by reward models, by a grader, and for having come to an end."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from core.rows.prompt import Prompt
from core.rows.tokens import IGNORED, ChatTokenizer
from core.specs.ppo import Ppo, unreadable
from core.specs.run import RunSpec
from graders.outcome import Outcome
from graders.sample import Sample
from graders.score import Scorer
from trainers import scores
from trainers.errors import SpecError
from trainers.grading import error_of, graded, scores_of
from trainers.loading import load_tokenizer
from trainers.ppo_answers import Answer
from trainers.samples import answered

PARAM = "method.ppo.reward_models"
TOKENS = ("bos_token", "eos_token")  # beside the vocabulary: where rows begin and end


@dataclass(frozen=True)
class Judged:
    """score: what an answer is worth. spread: the reward models' standard deviation. parts: the score of each reward
    model, the grader's reward, and what that is made of, by their names.

    error: of the grader.
    """

    score: float
    spread: float
    parts: dict[str, float]
    error: str | None


def check_tokenizers(spec: RunSpec) -> None:
    """Refuse reward models that would read other words than the policy writes.

    Raises:
        SpecError: one has another tokenizer.
    """
    ours = load_tokenizer(spec)
    for i, scorer in enumerate(spec.reward_models):
        theirs: Any = AutoTokenizer.from_pretrained(scorer.adapter or scorer.base, trust_remote_code=False)
        other = [name for name in TOKENS if getattr(theirs, name) != getattr(ours, name)]
        if theirs.get_vocab() != ours.get_vocab():
            other.append("vocabulary")
        if other:
            param = f"{PARAM}[{i}]"
            message = f"{param}: its tokenizer has another {other[0]} than that of the model that is trained"
            raise SpecError(message, param=param, code="tokenizer_mismatch")


def closing(chats: ChatTokenizer, prompt: Prompt) -> list[int]:
    """What the chat template writes behind an answer's words: the end of the turn, and whatever follows it."""
    row = chats.tokenize(answered(prompt))
    last = max(i for i, label in enumerate(row.labels) if label != IGNORED)
    is_end = chats.token(row.labels[last]) in chats.special
    return row.input_ids[last if is_end else last + 1 :]


class Judge:
    """Scores answers: mean − spread_penalty · standard deviation over the reward models, and what is added to it.

    Args:
        closing: tokens behind an answer's words, in the rows that the reward models have learnt from.
        device: where the reward models are to be.

    Raises:
        SpecError: there is no reward model in a folder.
    """

    def __init__(self, spec: RunSpec, options: Ppo, *, grading: Scorer, closing: list[int], device: Any) -> None:
        self._options, self._grading, self._closing = options, grading, closing
        try:
            self._models = [
                scores.load(Path(one.adapter or one.base), Path(one.base)).to(device) for one in spec.reward_models
            ]
        except ValueError as error:
            raise SpecError(f"{PARAM}: {error}", param=PARAM) from None

    def check_context(self, longest: int) -> None:
        """Raises SpecError where a prompt and its answer may be longer, in tokens, than a reward model can read."""
        for i, model in enumerate(self._models):
            context = model.config.max_position_embeddings
            if longest > context:
                param = f"{PARAM}[{i}]"
                raise SpecError(f"{param}: {unreadable(longest, context=context)}", param=param)

    def __call__(self, answers: Sequence[Answer]) -> list[Judged]:
        """Raises SpecError where the grader fails at too many of them."""
        rows = [one.prompt_tokens + one.tokens[: len(one.tokens) - one.ended] + self._closing for one in answers]
        by_model = zip(*(scores.scores_of(model, rows) for model in self._models), strict=True)
        of_grader = self._graded(answers)
        return [self._judged(*one) for one in zip(answers, by_model, of_grader, strict=True)]

    def _graded(self, answers: Sequence[Answer]) -> Sequence[Outcome | None]:
        """What the job's grader, where there is one, makes of each answer."""
        options = self._options
        if options.grader is None:
            return [None] * len(answers)
        return graded(
            self._grading,
            options.grader,
            [Sample(output_text=one.text, item=one.prompt.item) for one in answers],
            most_failed=options.max_failed_gradings,
            param="method.ppo.grader",
            worst=max if options.grader_weight < 0 else min,
        )

    def _judged(self, answer: Answer, by_model: tuple[float, ...], of_grader: Outcome | None) -> Judged:
        options = self._options
        spread = statistics.pstdev(by_model)
        score = statistics.fmean(by_model) - options.spread_penalty * spread
        score -= options.missing_eos_penalty * (not answer.ended)
        parts = {f"reward_model_{i}": value for i, value in enumerate(by_model, 1)}
        if of_grader is None:
            return Judged(score, spread, parts, None)
        score += options.grader_weight * of_grader.reward
        return Judged(score, spread, parts | {"grader": of_grader.reward} | scores_of(of_grader), error_of(of_grader))
