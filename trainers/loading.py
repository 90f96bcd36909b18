"""The base model and its tokenizer."""

import importlib.util
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from core.specs.run import RunSpec
from trainers.errors import SpecError


def load_tokenizer(spec: RunSpec) -> Any:
    """The base model's, with something to pad with: padding is masked wherever it is used."""
    tokenizer: Any = AutoTokenizer.from_pretrained(spec.base_model, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(spec: RunSpec) -> Any:
    """The base model: in 4 bits where the job asks for them, in bf16 under an adapter on a GPU, else in fp32.

    bf16 is emulated on CPUs, and slower; weights that are trained would lose most updates to its rounding, and are used
    in it by autocast on a GPU.

    Raises:
        SpecError: this worker can't load it in 4 bits.
    """
    dtype = torch.bfloat16 if spec.devices and spec.method.options.weights == "adapter" else torch.float32
    return AutoModelForCausalLM.from_pretrained(
        spec.base_model,
        dtype=dtype,
        quantization_config=_four_bits(spec) if spec.method.options.quantization else None,
        attn_implementation="sdpa",
        use_safetensors=True,
        trust_remote_code=False,
    )


def _four_bits(spec: RunSpec) -> BitsAndBytesConfig:
    """Raises SpecError where this worker can't."""
    param = f"method.{spec.method.type}.quantization"
    lacking = "the job runs on a CPU" if not spec.devices else "bitsandbytes is not installed on the worker"
    if not spec.devices or importlib.util.find_spec("bitsandbytes") is None:
        message = f"{param}: a base of 4 bits needs a GPU and bitsandbytes, but {lacking}"
        raise SpecError(message, param=param, code="quantization_unavailable")
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
