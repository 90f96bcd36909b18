"""Loss and accuracy of packed rows, at the positions that carry loss and at no others."""

from dataclasses import dataclass
from typing import Any

import torch

from core.rows.tokens import IGNORED


@dataclass(frozen=True)
class Score:
    """loss_sum: negative log-likelihood, in nats, summed over `tokens`. correct: those that were the likeliest."""

    loss_sum: torch.Tensor
    correct: int
    tokens: int


def score(model: Any, inputs: dict[str, torch.Tensor]) -> Score:
    """Score a packed batch of one sequence, `input_ids` and `labels` [1, tokens].

    On a GPU it is TRL's fused head, which never has all logits in memory. That head would score every position on a
    CPU, and once more in the backward pass, so that there the model's own head gets only the positions that count.
    """
    if inputs["input_ids"].is_cuda:
        outputs = model(**inputs, use_cache=False, fused_lm_head=True)
        tokens, correct = int(outputs.label_mask.sum()), int(outputs.is_top1.sum())
        return Score(-outputs.log_probs.sum(), correct, tokens)
    targets = inputs["labels"][0, 1:]
    kept = (targets != IGNORED).nonzero().flatten()
    others = {key: value for key, value in inputs.items() if key != "labels"}
    logits = model(**others, use_cache=False, logits_to_keep=kept).logits[0]
    loss_sum = torch.nn.functional.cross_entropy(logits, targets[kept], reduction="sum")
    return Score(loss_sum, int((logits.argmax(-1) == targets[kept]).sum()), len(kept))
