"""Supervised fine-tuning: TRL's SFTTrainer on rows that were tokenised here."""

import math
from collections.abc import Callable
from dataclasses import dataclass
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
from trainers.progress import Progress
from trainers.rows import Rows
from trainers.rundir import RunDir
from trainers.scoring import Sequence, means, packed, score, trained_tokens
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
    return finetune(spec, run_dir, stop, Method((Chat,), make_trainer, validation, highest_loss, COLUMNS))


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


class Trainer(SFTTrainer):
    """TRL's trainer, with sequences and a loss of our own, whose exact figures go to Progress."""

    progress: Progress
    noise: EmbeddingNoise | None = None
    # Divided by the step's tokens right below: nothing is left to divide by the number of sequences.
    loss_is_scaled_for_ga = True

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """The sequences of an optimiser step, one by one: their gradients add up, their memory does not."""
        trained = sum(trained_tokens(sequence) for sequence in inputs["sequences"])
        losses = [super(Trainer, self).training_step(model, sequence, trained) for sequence in inputs["sequences"]]
        return torch.stack(losses).sum()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        assert not return_outputs
        if self.noise is not None:
            self.noise.begin(inputs)
        loss_sum, scored = score(model, inputs)
        self.progress.add(scored, tokens=inputs["input_ids"].numel())
        return loss_sum / num_items_in_batch

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # Progress knows better

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super(SFTTrainer, self)._save_checkpoint(model, trial)  # TRL's own would write a model card first


def dataset(rows: list[Tokenized]) -> Dataset:
    return Dataset.from_dict({"input_ids": [row.input_ids for row in rows], "labels": [row.labels for row in rows]})


def validation(trainer: Trainer, rows: Rows) -> Callable[[], dict[str, float]]:
    """The means are over all trained tokens of the validation rows."""
    single = dataset(rows.chats()).to_list()
    size = trainer.args.per_device_train_batch_size
    batches = [trainer.data_collator(single[at : at + size]) for at in range(0, len(single), size)]

    @torch.no_grad()
    def validate() -> dict[str, float]:
        model: Any = trainer.model
        model.eval()
        scored = [
            score(model, trainer._prepare_inputs(sequence))[1] for batch in batches for sequence in batch["sequences"]
        ]
        model.train()
        return means(scored)

    return validate


def highest_loss(_: RunSpec, model: Any) -> float:
    return EXPLODED * math.log(model.config.vocab_size)
