"""The base model, which writes or scores, and its tokenizer."""

import importlib.util
from typing import Any

import torch
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
)

from core.specs.run import RunSpec
from trainers.errors import SpecError

HEAD = "score"  # transformers' name for the layer that makes a score of a state
PLAIN: dict[str, Any] = {"attn_implementation": "sdpa", "use_safetensors": True, "trust_remote_code": False}


def load_tokenizer(spec: RunSpec) -> Any:
    """The base model's, with something to pad with: padding is masked wherever it is used."""
    tokenizer: Any = AutoTokenizer.from_pretrained(spec.base_model, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_config(folder: str) -> Any:
    """A model's sizes and the like, without its weights."""
    return AutoConfig.from_pretrained(folder, trust_remote_code=False)


def load_base(spec: RunSpec) -> Any:
    """The base model: in 4 bits where the job asks for them, in bf16 under an adapter on a GPU, else in fp32.

    For a reward model it has a score head: its own, or a fresh one, which the seed draws.

    bf16 is emulated on CPUs, and slower; weights that are trained would lose most updates to its rounding, and are used
    in it by autocast on a GPU.

    Raises:
        SpecError: this worker can't load it in 4 bits, it is of the other kind, or it can have no score head.
    """
    options = spec.method.options
    how = {
        "dtype": torch.bfloat16 if spec.devices and options.weights == "adapter" else torch.float32,
        "quantization_config": _four_bits(spec) if options.quantization else None,
    }
    if options.YIELDS == "policy":
        model = load_policy(spec.base_model, **how)
    else:
        model, has_head = load_scorer(spec.base_model, pad_token_id=load_tokenizer(spec).pad_token_id, **how)
        if not has_head:
            _draw_head(model, seed=spec.seed)
    # Whatever is padded is masked: where the token that pads also begins documents, its embedding has to learn.
    model.get_input_embeddings().padding_idx = None
    return model


def load_policy(folder: str, **how: Any) -> Any:
    """A model that writes answers.

    Args:
        how: arguments of `from_pretrained`.

    Raises:
        SpecError: the folder holds a reward model.
    """
    if any("SequenceClassification" in name for name in load_config(folder).architectures or ()):
        raise SpecError("model: is a reward model, which scores answers; one that writes them is needed", param="model")
    return AutoModelForCausalLM.from_pretrained(folder, **how, **PLAIN)


def load_scorer(folder: str, *, pad_token_id: int, **how: Any) -> tuple[Any, bool]:
    """(the model with a score head, whether the folder has one).

    Args:
        how: arguments of `from_pretrained`.

    Raises:
        SpecError: models of its architecture have none, or one of another form.
    """
    headless = SpecError("model: transformers has no score head for models of its architecture", param="model")
    if type(load_config(folder)) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        raise headless
    model, found = AutoModelForSequenceClassification.from_pretrained(
        folder, num_labels=1, pad_token_id=pad_token_id, output_loading_info=True, **how, **PLAIN
    )
    if not hasattr(model, HEAD):
        raise headless
    model.score.float()  # in bf16 a score would have three digits, and most updates of the head would be lost
    return model, f"{HEAD}.weight" not in found["missing_keys"]


def _draw_head(model: Any, *, seed: int) -> None:
    """Normal, of the variance 1 / (width + 1) (Stiennon et al., 2020, arXiv 2009.01325): scores begin about 1 apart."""
    weight = model.score.weight.data
    drawn = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    weight.copy_(drawn / (weight.shape[1] + 1) ** 0.5)


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
        llm_int8_skip_modules=[HEAD] if spec.method.options.YIELDS == "reward_model" else None,  # null: a policy's head
    )
