"""The base model and its tokenizer."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.specs.run import RunSpec


def load_tokenizer(spec: RunSpec) -> Any:
    """The base model's, with something to pad with: padding is masked wherever it is used."""
    tokenizer: Any = AutoTokenizer.from_pretrained(spec.base_model, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(spec: RunSpec) -> Any:
    """The base model, in fp32 on a CPU (bf16 is emulated there, and slower) and bf16 on a GPU."""
    dtype = torch.bfloat16 if spec.devices else torch.float32
    return AutoModelForCausalLM.from_pretrained(
        spec.base_model, dtype=dtype, attn_implementation="sdpa", use_safetensors=True, trust_remote_code=False
    )
