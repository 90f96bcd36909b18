"""Reward models: a score for each response, learnt from comparisons (Bradley, Terry, 1952).

TRL's RewardTrainer knows pairs only. For pairs the loss here is that one's; of more responses all pairs are compared,
and count together as much as a pair.
"""

import json
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import combinations, islice
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import TrainingArguments
from trl.trainer.utils import disable_dropout_in_model

from core.rows import packing
from core.rows.preference import Preference
from core.rows.ranking import MOST_MARGIN, Ranking
from core.rows.template import as_dicts
from core.rows.tokens import IGNORED
from core.specs.reward_model import RewardModel, RewardModelMethod
from core.specs.run import RunResult, RunSpec
from core.specs.training import ScoredSamples
from trainers import attention
from trainers.finetuning import Method, Run, finetune
from trainers.rows import Rows, read_rows
from trainers.rundir import RunDir
from trainers.samples import cut_answer
from trainers.scores import last_scores, scores_of, without_padding
from trainers.scoring import Score, Sequence, means, packed
from trainers.sequences import SequenceTrainer
from trainers.stopping import StopRequest

EXPLODED = 10  # times the loss of guessing
FAR_OFF = 40  # a sum of two scores that no head begins with
BINS = 10  # of confidence, from 0.5 to 1
COLUMNS = {
    "train_loss": "train_loss",
    "train_accuracy": "train_accuracy",
    "train_margin": "train_margin",
    "valid_loss": "valid_loss",
    "valid_accuracy": "valid_accuracy",
    "valid_margin": "valid_margin",
    "valid_calibration_error": "valid_calibration_error",
}


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one job on comparisons in its run directory. Raises what `finetune` does."""
    read = partial(read_rows, wanted=(Preference, Ranking))
    method = Method(read, make_trainer, validation, highest_loss, COLUMNS, samples=write_scores)
    return finetune(spec, run_dir, stop, method)


def make_trainer(run: Run) -> "Trainer":
    options = options_of(run.spec)
    attention.use(run.model)
    if not (options.lora and options.lora.dropout):
        disable_dropout_in_model(run.model)  # noise on one side of a difference is noise of the comparison
    trainer = Trainer(
        model=run.model,
        args=TrainingArguments(**run.arguments(batch=run.plan.batch_size), remove_unused_columns=False),
        train_dataset=comparisons(run.rows, run.model.config.pad_token_id),  # pyright: ignore[reportArgumentType]
        processing_class=run.tokenizer,
        data_collator=Collator(run.plan.capacity),
    )
    trainer.center_coefficient = options.center_coefficient
    return trainer


def options_of(spec: RunSpec) -> RewardModel:
    assert isinstance(spec.method, RewardModelMethod)
    return spec.method.reward_model


@dataclass(frozen=True)
class Comparison:
    """A row. responses: tokens of each with its prompt, the best first. trained: how many are of responses."""

    responses: list[list[int]]
    ranks: tuple[int, ...]
    margin: float
    trained: int


def comparisons(rows: Rows, pad_token_id: int) -> list[Comparison]:
    found: list[Comparison] = []
    for row, tokens in zip(rows.content, rows.tokens, strict=True):
        assert isinstance(row, Preference | Ranking)
        trained = sum(len(chat.labels) - chat.labels.count(IGNORED) for chat in tokens)
        responses = [without_padding(chat.input_ids, pad_token_id) for chat in tokens]
        found.append(Comparison(responses, row.ranks, row.margin, trained))
    return found


@dataclass(frozen=True)
class Collator:
    """Lays the rows of an optimiser step into sequences of up to `capacity` tokens, all responses of a row into one.

    Beside what `packed` makes, a sequence has `better`, `worse`, `weights` and `margins`, [pairs]: which of its
    responses are compared, where the weights of a row's pairs add up to 1; `counts`, the responses of each row; and
    `trained`, how many tokens are of responses.
    """

    capacity: int

    def __call__(self, rows: list[Comparison]) -> dict[str, list[Sequence]]:
        lengths = [sum(map(len, row.responses)) for row in rows]
        shared = packing.bins(lengths, capacity=self.capacity)
        return {"sequences": [self._sequence([rows[i] for i in together]) for together in shared]}

    def _sequence(self, rows: list[Comparison]) -> Sequence:
        pairs: list[tuple[int, int, float, float]] = []
        first = 0
        for row in rows:
            ranked = enumerate(row.ranks, first)
            ordered = [(i, j) for (i, above), (j, below) in combinations(ranked, 2) if above < below]
            pairs += [(i, j, 1 / len(ordered), row.margin) for i, j in ordered]
            first += len(row.ranks)
        better, worse, weights, margins = zip(*pairs, strict=True)
        return packed([response for row in rows for response in row.responses]) | {
            "better": torch.tensor(better),
            "worse": torch.tensor(worse),
            "weights": torch.tensor(weights),
            "margins": torch.tensor(margins),
            "counts": [len(row.ranks) for row in rows],
            "trained": sum(row.trained for row in rows),
        }


class Trainer(SequenceTrainer, transformers.Trainer):
    """transformers' trainer, whose loss is the mean over the rows of a step."""

    center_coefficient: float

    def weight(self, sequence: Sequence) -> int:
        return len(sequence["counts"])

    def score(self, model: Any, sequence: Sequence) -> tuple[torch.Tensor, Score]:
        loss_sum, scored, _ = self.compare(model, sequence)
        return loss_sum, scored

    def compare(self, model: Any, sequence: Sequence) -> tuple[torch.Tensor, Score, torch.Tensor]:
        """(summed loss, which has a gradient; what it came to; [pairs] by how much the better score is higher)."""
        with self.accelerator.autocast():
            scores = last_scores(model, sequence)
        better, worse, weights = scores[sequence["better"]], scores[sequence["worse"]], sequence["weights"]
        apart = better - worse
        losses = -torch.nn.functional.logsigmoid(apart - sequence["margins"])
        loss_sum = (weights * (losses + self.center_coefficient * (better + worse) ** 2)).sum()
        apart = apart.detach()
        by_row = scores.detach().split(sequence["counts"])
        sums = {
            "accuracy": float((weights * (apart > 0)).sum()),
            "margin": float((weights * apart).sum()),
            "score": sum(float(row.mean()) for row in by_row),
            "score_spread": sum(float(row.std(correction=0)) for row in by_row),
        }
        return loss_sum, Score(float(loss_sum.detach()), len(by_row), sequence["trained"], sums), apart


def validation(trainer: Trainer, rows: Rows) -> Callable[[], dict[str, float]]:
    """The means are over the validation rows."""
    model: Any = trainer.model
    collate: Any = trainer.data_collator
    single = comparisons(rows, model.config.pad_token_id)
    size = trainer.args.per_device_train_batch_size
    batches = [collate(single[at : at + size]) for at in range(0, len(single), size)]
    sequences = [sequence for batch in batches for sequence in batch["sequences"]]
    weights = torch.cat([sequence["weights"] for sequence in sequences])

    @torch.no_grad()
    def validate() -> dict[str, float]:
        model.eval()
        compared = [trainer.compare(model, trainer._prepare_inputs(sequence)) for sequence in sequences]
        model.train()
        apart = torch.cat([apart.cpu() for _, _, apart in compared])
        return means([scored for _, scored, _ in compared]) | {"calibration_error": calibration_error(apart, weights)}

    return validate


def calibration_error(apart: torch.Tensor, weights: torch.Tensor) -> float:
    """How far, on average, a model's confidence is from how often it is right (Guo et al., 2017, arXiv 1706.04599).

    Args:
        apart: [pairs] by how much the better score is higher; the confidence is the sigmoid of its size.
    """
    confidence = apart.abs().sigmoid()
    bins = (
        ((confidence - 0.5) * 2 * BINS).long().clamp(min=0, max=BINS - 1)
    )  # also where the model has diverged, and there are no numbers
    gap = torch.zeros(BINS).scatter_add_(0, bins, weights * (confidence - (apart > 0).float()))
    return float(gap.abs().sum() / weights.sum())


def highest_loss(spec: RunSpec, _model: Any) -> float:
    centring = options_of(spec).center_coefficient * FAR_OFF**2
    return EXPLODED * math.log(2) + MOST_MARGIN + centring


def write_scores(
    path: Path,
    model: Any,
    _tokenizer: Any,
    _chats: Any,
    rows: Rows,
    *,
    options: ScoredSamples,
    as_before: AbstractContextManager[None],
) -> None:
    """Write one line a row: `{row, prompt, responses: [{text, rank, before, after}]}`, the best response first."""
    model.eval()
    tokens = [chat.input_ids for chat in rows.chats()]
    after = scores_of(model, tokens)
    with as_before:
        scores = iter(zip(scores_of(model, tokens), after, strict=True))
    with path.open("w", encoding="utf-8") as file:
        for i, row in enumerate(rows.content):
            assert isinstance(row, Preference | Ranking)
            of_row = islice(scores, len(row.chats))
            responses = [
                {"text": cut_answer(chat)[1], "rank": rank, "before": before_it, "after": after_it}
                for chat, rank, (before_it, after_it) in zip(row.chats, row.ranks, of_row, strict=True)
            ]
            line = {"row": i, "prompt": as_dicts(cut_answer(row.chats[0])[0].messages), "responses": responses}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
