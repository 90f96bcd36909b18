"""Optimiser steps of sequences that several rows share."""

from typing import Any

import torch

from trainers.progress import Progress
from trainers.scoring import Score, Sequence, score, trained_tokens


class SequenceTrainer:
    """What makes a transformers.Trainer take batches of `{"sequences": [Sequence, …]}`, an optimiser step each.

    The loss is the mean over all trained tokens of a step, unless `weight` and `score` say otherwise.
    """

    progress: Progress
    # Divided by the step's weight right below: nothing is left to divide by the number of sequences.
    loss_is_scaled_for_ga = True

    def weight(self, sequence: Sequence) -> int:
        """How much of the step's mean is of a sequence."""
        return trained_tokens(sequence)

    def score(self, model: Any, sequence: Sequence) -> tuple[torch.Tensor, Score]:
        """(summed loss of a sequence, which has a gradient; what it came to)."""
        return score(model, sequence)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """The sequences of an optimiser step, one by one: their gradients add up, their memory does not."""
        whole = sum(map(self.weight, inputs["sequences"]))
        step: Any = super()
        losses = [step.training_step(model, sequence, whole) for sequence in inputs["sequences"]]
        return torch.stack(losses).sum()

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        assert not return_outputs
        loss_sum, scored = self.score(model, inputs)
        self.progress.add(scored, tokens=inputs["input_ids"].numel())
        return loss_sum / num_items_in_batch

    def floating_point_ops(self, inputs: Any) -> int:
        return 0  # Progress knows better


@torch.no_grad()
def score_all(trainer: Any, batches: list[dict[str, list[Sequence]]]) -> list[Score]:
    """What batches come to that are not trained."""
    model: Any = trainer.model
    model.eval()
    scored = [
        trainer.score(model, trainer._prepare_inputs(sequence))[1]
        for batch in batches
        for sequence in batch["sequences"]
    ]
    model.train()
    return scored
