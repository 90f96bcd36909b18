"""Supervised fine-tuning: TRL's SFTTrainer on rows that were tokenised here."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from datasets import Dataset
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from core.rows import packing
from core.rows.chat import Chat
from core.rows.tokens import Tokenized
from core.specs.run import RunResult, RunSpec
from core.specs.supervised import SupervisedMethod
from trainers import attention
from trainers.finetuning import Method, Run, finetune
from trainers.noise import EmbeddingNoise
from trainers.rows import Rows, read_rows
from trainers.rundir import RunDir
from trainers.scoring import Sequence, means, packed
from trainers.sequences import SequenceTrainer, score_all
from trainers.stopping import StopRequest

EXPLODED = 3  # times the loss of guessing uniformly
COLUMNS = {
    "train_loss": "train_loss",
    "train_accuracy": "train_mean_token_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}


def train(spec: RunSpec, run_dir: RunDir, stop: StopRequest) -> RunResult:
    """Run one supervised job in its run directory. Raises what `finetune` does."""
    read = partial(read_rows, wanted=(Chat,))
    return finetune(spec, run_dir, stop, Method(read, make_trainer, validation, highest_loss, COLUMNS))


def make_trainer(run: Run) -> "Trainer":
    attention.use(run.model)
    trainer = Trainer(
        model=run.model,
        args=SFTConfig(**run.arguments(batch=run.plan.batch_size), packing=False, max_length=None),
        train_dataset=dataset(run.rows.chats()),
        processing_class=run.tokenizer,
        data_collator=Collator(run.plan.capacity),
    )
    assert isinstance(run.spec.method, SupervisedMethod)
    alpha = run.spec.method.supervised.neftune_alpha
    if alpha is not None:
        trainer.noise = EmbeddingNoise(alpha)
        run.model.get_input_embeddings().register_forward_hook(trainer.noise)
    return trainer


@dataclass(frozen=True)
class Collator:
    """Lays the rows of an optimiser step into sequences of up to `capacity` tokens: `score` says what one is."""

    capacity: int

    def __call__(self, rows: list[dict[str, list[int]]]) -> dict[str, list[Sequence]]:
        lengths = [len(row["input_ids"]) for row in rows]
        shared = packing.bins(lengths, capacity=self.capacity)
        return {"sequences": [self._sequence([rows[i] for i in together]) for together in shared]}

    def _sequence(self, rows: list[dict[str, list[int]]]) -> Sequence:
        labels = torch.tensor([[label for row in rows for label in row["labels"]]])
        return packed([row["input_ids"] for row in rows]) | {"labels": labels}


class Trainer(SequenceTrainer, SFTTrainer):
    """TRL's trainer, with sequences and a loss of our own, whose exact figures go to Progress."""

    noise: EmbeddingNoise | None = None

    def compute_loss(self, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        if self.noise is not None:
            self.noise.begin(inputs)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super(SFTTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a model card first


def dataset(rows: list[Tokenized]) -> Dataset:
    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


def validation(trainer: Trainer, rows: Rows) -> Callable[[], dict[str, float]]:
    """The means are over all trained tokens of the validation rows."""
    single = dataset(rows.chats()).to_list()
    size = trainer.args.per_device_train_batch_size
    batches = [trainer.data_collator(single[at : at + size]) for at in range(0, len(single), size)]
    return lambda: means(score_all(trainer, batches))


def highest_loss(_: RunSpec, model: Any) -> float:
    return EXPLODED * math.log(model.config.vocab_size)
