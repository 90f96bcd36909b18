"""The loss of a language model's head, without the passes over all logits that autograd makes of it."""

from typing import Any

import torch

# What a head may do to its logits besides the product, by the names of TRL's add_fused_lm_head, which serves on a GPU;
# models that do are left to their own forward.
CHANGES = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")


class TokenLoss(torch.autograd.Function):
    """(sum of the negative log-likelihoods, in nats; how many tokens were the likeliest) of tokens by a linear head.

    The gradient is made right away, in the place of the logits: softmax minus one-hot. Where autograd holds the logits,
    their logarithms and two gradients of that size, this holds one tensor of [tokens, vocabulary].
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits = hidden @ weight.t()
        total = logits.logsumexp(-1, keepdim=True)
        at = targets[:, None]
        loss = (total - logits.gather(1, at)).sum()
        correct = (logits.argmax(-1) == targets).sum()
        wanted, trained = ctx.needs_input_grad[:2]
        if wanted or trained:
            gradient = logits.sub_(total).exp_()
            gradient.scatter_add_(1, at, torch.full_like(at, -1, dtype=gradient.dtype))
            of_hidden = gradient @ weight if wanted else None
            ctx.save_for_backward(of_hidden, gradient.t() @ hidden if trained else None)
        ctx.mark_non_differentiable(correct)
        return loss, correct

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        of_hidden, of_weight = ctx.saved_tensors
        scale = gradients[0]
        return (
            None if of_hidden is None else of_hidden * scale,
            None if of_weight is None else of_weight * scale,
            None,
        )


def token_loss(
    model: Any, inputs: dict[str, torch.Tensor], kept: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """What `TokenLoss` answers of the positions that are kept.

    Args:
        inputs: of a batch of one sequence.
        kept: positions; the model's words for them are compared with `targets`.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    head = base.get_output_embeddings()
    if head.bias is None and not any(getattr(base.config, name, None) for name in CHANGES):
        hidden = base.base_model(**inputs, use_cache=False).last_hidden_state[0]
        return TokenLoss.apply(hidden[kept], head.weight, targets)
    logits = model(**inputs, use_cache=False, logits_to_keep=kept).logits[0]
    loss = torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
    return loss, (logits.argmax(-1) == targets).sum()
