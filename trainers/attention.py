"""Attention within rows that share a sequence: row by row.

transformers' way is a mask of all pairs of tokens, of which most are of two rows, and mean nothing: for 800 tokens of
short rows that was a quarter of the time of a step on a CPU.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise
from typing import Any

import torch
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "sdpa_by_rows"
# transformers' kinds of layers in which nothing but masked attention passes from token to token.
ATTENDING = {"full_attention", "sliding_attention"}
UNMASKED = ("afmoe",)  # it makes its masks without the positions, which is where rows begin
LEAK = "rows that share a sequence would see one another"
_edges: ContextVar[list[int] | None] = ContextVar("edges", default=None)


def check(config: Any) -> None:
    """Refuse a model in which rows that share a sequence would not be kept apart.

    A model that hands its attention to transformers' interface, and has no other way from token to token, is kept to
    single rows by the mask, or by `use`.

    Raises:
        ValueError: it does not write, or a row's tokens would go into what the next row says.
    """
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise ValueError("the model is none that writes text")
    model: Any = MODEL_FOR_CAUSAL_LM_MAPPING[type(config)]
    others = set(getattr(config, "layer_types", None) or ()) - ATTENDING
    if others or model._is_stateful:
        what = ", ".join(sorted(others)) or "a state"
        raise ValueError(f"the model's layers pass more than attention does from token to token ({what}): {LEAK}")
    if config.model_type in UNMASKED or not (model._supports_sdpa and model._supports_attention_backend):
        raise ValueError(f"transformers can't mask the model's attention row by row: {LEAK}")


def use_flash() -> None:
    """Leave cuDNN's attention out of PyTorch's choice, of which it is the first on a Hopper.

    It plans anew for each shape that it meets, 25 ms forward and as much backward, and rows come in all lengths.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)


def use(model: Any) -> None:
    """Let a model that was loaded with SDPA attend row by row inside of `rows`, and as before elsewhere.

    One with layers that see only part of a row (a sliding window) goes on with masks, which say which part.
    """
    if _sees_whole_rows(model.config):
        model.set_attn_implementation(NAME)


@contextmanager
def rows(edges: list[int]) -> Iterator[None]:
    """What goes through the model is one sequence of rows.

    Args:
        edges: where each row begins, and the end of the last.
    """
    before = _edges.set(edges)
    try:
        yield
    finally:
        _edges.reset(before)


def _sees_whole_rows(config: Any) -> bool:
    kinds = getattr(config, "layer_types", None)
    return set(kinds) == {"full_attention"} if kinds else getattr(config, "sliding_window", None) is None


def _attend(
    module: torch.nn.Module, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any
) -> tuple[torch.Tensor, None]:
    edges = _edges.get()
    if edges is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    lengths = [end - start for start, end in pairwise(edges)]
    if len(set(lengths)) == 1 and len(lengths) > 1:  # a batch, in one go
        q, k, v = (states.unflatten(2, (len(lengths), -1))[0].transpose(0, 1) for states in (query, key, value))
        return sdpa_attention_forward(module, q, k, v, None, **options)[0].flatten(0, 1)[None], None
    # Split, not sliced: the gradient of a slice is a whole tensor of zeros around it.
    by_rows = zip(*(states.split(lengths, dim=2) for states in (query, key, value)), strict=True)
    parts = [sdpa_attention_forward(module, q, k, v, None, **options)[0] for q, k, v in by_rows]
    return torch.cat(parts, dim=1), None


def _mask(*shape: Any, **options: Any) -> Any:
    return None if _edges.get() is not None else sdpa_mask(*shape, **options)


AttentionInterface.register(NAME, _attend)
AttentionMaskInterface.register(NAME, _mask)
