"""LoRA's linear layer, as peft has it, in fewer passes over its outputs."""

from typing import Any

import torch
from peft import LoraConfig
from peft.tuners import lora


class Linear(lora.Linear):
    """y = W x + scaling · B A x, where the product with B adds itself to W x.

    peft scales the product and adds it, forward and backward, in passes of their own. What is not plain LoRA in one
    precision is left to it.
    """

    def forward(self, x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        name = self._only_adapter(x)
        if name is None or args or kwargs:
            return super().forward(x, *args, **kwargs)
        flat = x.flatten(0, -2)
        y: torch.Tensor = self.base_layer(flat)  # a fresh tensor, which its own backward does not need
        update: torch.Tensor = self.lora_A[name](self.lora_dropout[name](flat))
        factor: Any = self.lora_B[name].weight
        y.addmm_(update, factor.t(), alpha=self.scaling[name])
        return y.unflatten(0, x.shape[:-1])

    def _only_adapter(self, x: torch.Tensor) -> str | None:
        """The name of the one adapter that is to be added in the input's precision; None for peft."""
        active = [name for name in self.active_adapters if name in self.lora_A]
        if self.disable_adapters or self.merged or len(active) != 1 or torch.is_autocast_enabled(x.device.type):
            return None
        (name,) = active
        plain = name not in self.lora_variant and not self.lora_bias[name]
        return name if plain and self.lora_B[name].weight.dtype == x.dtype else None


def use(config: LoraConfig, model: Any) -> LoraConfig:
    """Let an adapter of that shape have these layers; not on a base of 4 bits, whose layers peft has its own for."""
    if not getattr(model, "is_quantized", False):
        config._register_custom_module({torch.nn.Linear: Linear})
    return config
