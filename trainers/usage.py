"""What a run takes of its device."""

import resource
from dataclasses import dataclass
from typing import Any

import torch

# Peak FLOP/s of dense bf16 matrix products, from NVIDIA's data sheets, by the name that the driver gives the device.
PEAKS = {
    "NVIDIA H200": 989e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100-SXM4-40GB": 312e12,
    "NVIDIA A100 80GB PCIe": 312e12,
    "NVIDIA A100-PCIE-40GB": 312e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA L4": 121e12,
    "NVIDIA GeForce RTX 4090": 165e12,
}


@dataclass(frozen=True)
class Device:
    """flops_per_token: of one training step. peak: FLOP/s; None where the device's is not known, as on every CPU."""

    flops_per_token: float
    peak: float | None

    @classmethod
    def of(cls, model: Any) -> "Device":
        """A frozen weight costs a token 4 FLOPs (forward, and backward to what is before it), a trained one 6.

        Embeddings are looked up, and cost none but where they are the head as well.
        """
        embeddings, head = model.get_input_embeddings().weight, model.get_output_embeddings()
        is_head = head is not None and head.weight is embeddings
        frozen = trained = 0
        for weight in model.parameters():
            if weight is embeddings and not is_head:
                continue
            if weight.requires_grad:
                trained += weight.numel()
            else:
                frozen += weight.numel()
        name = torch.cuda.get_device_name() if model.device.type == "cuda" else ""
        return cls(4 * frozen + 6 * trained, PEAKS.get(name))

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
