"""What a batch came to, and the loss of packed rows at the positions that carry loss and at no others."""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch

from core.rows.tokens import IGNORED
from trainers import attention
from trainers.head import token_loss

# Rows that share a sequence: `input_ids` and `position_ids`, which begin anew with each row, [1, tokens], and `edges`,
# the list of where each row begins, and of the end. Beside them stands what a method's loss needs, such as `labels`.
Sequence = dict[str, Any]


def packed(rows: list[list[int]]) -> Sequence:
    """Rows of tokens as one sequence."""
    lengths = [len(row) for row in rows]
    return {
        "input_ids": torch.tensor([[token for row in rows for token in row]]),
        "position_ids": torch.tensor([[i for length in lengths for i in range(length)]]),
        "edges": [0, *accumulate(lengths)],
    }


@dataclass(frozen=True)
class Score:
    """loss_sum: over `count` trained tokens or pairs, whichever the method takes the mean of. tokens: that carry loss.

    sums: of its other figures, over the same `count`, by their names without train_ or valid_.
    """

    loss_sum: float
    count: int
    tokens: int
    sums: dict[str, float]


def means(scores: list[Score]) -> dict[str, float]:
    """The loss and the other figures of several batches."""
    count = max(1, sum(score.count for score in scores))
    names = scores[0].sums if scores else ()
    loss = sum(score.loss_sum for score in scores) / count
    return {"loss": loss, **{name: sum(score.sums[name] for score in scores) / count for name in names}}


def trained_tokens(sequence: Sequence) -> int:
    """How many tokens carry loss; a row's first one never does."""
    return int((sequence["labels"] != IGNORED).sum())


def score(model: Any, sequence: Sequence) -> tuple[torch.Tensor, Score]:
    """(summed loss, which has a gradient; what it came to) of rows that share a sequence.

    On a GPU it is TRL's fused head, which never has all logits in memory. That head would score every position on a
    CPU, and once more in the backward pass; there ours gets only the positions that count.
    """
    inputs = {key: sequence[key] for key in ("input_ids", "position_ids")}
    labels = sequence["labels"]
    with attention.rows(sequence["edges"]):
        if labels.is_cuda:
            outputs = model(**inputs, labels=labels, use_cache=False, fused_lm_head=True)
            tokens, correct = int(outputs.label_mask.sum()), int(outputs.is_top1.sum())
            loss_sum = -outputs.log_probs.sum()
            return loss_sum, Score(float(loss_sum.detach()), tokens, tokens, {"mean_token_accuracy": correct})
        targets = labels[0, 1:]
        kept = (targets != IGNORED).nonzero().flatten()
        loss_sum, correct = token_loss(model, inputs, kept, targets[kept])
    return loss_sum, Score(float(loss_sum.detach()), len(kept), len(kept), {"mean_token_accuracy": int(correct)})
