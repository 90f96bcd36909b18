"""Noise on embeddings while training (NEFTune; Jain et al., 2023, arXiv 2310.05914)."""

from typing import Any

import torch


class EmbeddingNoise:
    """A forward hook of the embeddings: uniform noise of at most alpha / sqrt(length of the row · width).

    transformers' own takes a packed sequence for one row, whose noise would be too small. `begin` is called with each
    batch, before the model.
    """

    def __init__(self, alpha: float) -> None:
        self._alpha = alpha
        self._lengths = torch.empty(0)

    def begin(self, inputs: dict[str, torch.Tensor]) -> None:
        """Look where rows begin: `position_ids` [1, tokens], where rows share a sequence."""
        ids, positions = inputs["input_ids"], inputs.get("position_ids")
        if positions is None:
            self._lengths = torch.full_like(ids, ids.shape[1], dtype=torch.float32)
            return
        row = (positions == 0).cumsum(-1) - 1
        self._lengths = torch.bincount(row[0])[row].float()

    def __call__(self, module: Any, _inputs: Any, embedded: torch.Tensor) -> torch.Tensor:
        if not module.training:
            return embedded
        most = self._alpha / (self._lengths * embedded.shape[-1]).sqrt()
        return embedded + torch.empty_like(embedded).uniform_(-1, 1) * most[..., None].to(embedded.dtype)
