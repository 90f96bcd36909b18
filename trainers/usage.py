"""What a run takes of its device."""

import resource
from dataclasses import dataclass
from typing import Any

import torch

# Peak FLOP/s of dense bf16 matrix products, as NVIDIA's data sheets give them.
PEAKS = {
    "H200": 989e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "L4": 121e12,
    "A10G": 70e12,
    "RTX 4090": 165e12,
}


@dataclass(frozen=True)
class Device:
    """flops_per_token: of one training step. peak: FLOP/s; None where the device's is not known, as on every CPU."""

    flops_per_token: float
    peak: float | None

    @classmethod
    def of(cls, model: Any) -> "Device":
        """A frozen weight costs a token 4 FLOPs (forward, and backward to what is before it), a trained one 6."""
        frozen = trained = 0
        for name, weight in model.named_parameters():
            if weight.requires_grad:
                trained += weight.numel()
            elif "embed_tokens" not in name:
                frozen += weight.numel()
        name = torch.cuda.get_device_name() if model.device.type == "cuda" else ""
        return cls(4 * frozen + 6 * trained, next((peak for key, peak in PEAKS.items() if key in name), None))

    def utilization(self, tokens_per_second: float) -> dict[str, float]:
        """Model FLOPs utilisation (Chowdhery et al., 2022, arXiv 2204.02311, appendix B), where it can be told."""
        if self.peak is None:
            return {}
        return {"model_flops_utilization": self.flops_per_token * tokens_per_second / self.peak}


def peak_memory() -> int:
    """Bytes: of the GPU since the process began, or resident ones of the process."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
