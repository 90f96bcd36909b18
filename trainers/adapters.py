"""LoRA adapters: made, and taken over from an earlier job."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from peft.utils import load_peft_weights, set_peft_model_state_dict
from transformers.pytorch_utils import Conv1D

from core.specs.lora import Lora
from trainers import lora as layers
from trainers.errors import SpecError
from trainers.loading import HEAD

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
REFERENCE = "ref"  # the folder, and the name in a model, of a copy that stays as it was
INITIAL: dict[str, Any] = {"zero": True, "gaussian": "gaussian", "orthogonal": "orthogonal"}  # peft's names
BLOCK_PARTS = {"attention": ("attn", "attention"), "mlp": ("mlp", "feed_forward", "ffn")}
# What makes an adapter's shape: our name, and peft's.
SHAPE = {
    "r": "r",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "target_modules": "target_modules",
    "rslora": "use_rslora",
    "dora": "use_dora",
}


def attach(model: Any, *, lora: Lora | None, start_adapter: str | None, param: str) -> Any:
    """The model with a trainable adapter: a fresh one, or the one that goes on training.

    Args:
        param: the key of `lora` in the job.

    Raises:
        SpecError: the job asks for layers that the model has not, or for another shape than that of the adapter it
            starts from.
    """
    if start_adapter is None:
        return get_peft_model(model, layers.use(configure(model, lora or Lora(), param=param), model))
    if not (Path(start_adapter) / WEIGHTS).exists():
        raise SpecError("the adapter that the job starts from has no safetensors weights", param="model")
    stored: Any = LoraConfig.from_pretrained(start_adapter)
    if lora is not None:
        _refuse_other_shape(configure(model, lora, param=param), stored, param=param)
    return _taken_over(model, start_adapter)


@contextmanager
def still_reference(model: Any) -> Iterator[None]:
    """Where TRL makes its trainer: the copy of the adapter that it takes for the reference must not drop anything out.

    It is asked while the model trains, and by `precompute_reference` before anybody could tell it otherwise.
    """
    config = getattr(model, "peft_config", {}).get("default")
    if config is None:
        yield
        return
    dropout, config.lora_dropout = config.lora_dropout, 0.0
    try:
        yield
    finally:
        config.lora_dropout = dropout


def copy_as_reference(model: Any) -> None:
    """Put a copy of the adapter into the model, as REFERENCE, which is not trained (as TRL does for DPO)."""
    model.add_adapter(REFERENCE, model.peft_config["default"])
    for name, weight in list(model.named_parameters()):
        if ".default." in name:
            model.get_parameter(name.replace(".default.", f".{REFERENCE}.")).data.copy_(weight.data)
    model.set_adapter("default")


def merged(model: Any, adapter: str) -> Any:
    """The model with a stored adapter merged into it; all of its weights can be trained.

    Raises:
        SpecError: the adapter has layers that the model has not.
    """
    return _taken_over(model, adapter).merge_and_unload(safe_merge=True).requires_grad_(True)


def _taken_over(model: Any, adapter: str) -> Any:
    """The model with a stored adapter, trainable: a policy's too where the model scores."""
    stored: Any = LoraConfig.from_pretrained(adapter)
    stored.task_type, stored.modules_to_save = task(model), None  # peft adds the score head by itself
    stored.inference_mode = False
    # Whoever saves looks at the base's config; its public name would send peft to the hub for it.
    stored.base_model_name_or_path = model.name_or_path
    attached = get_peft_model(model, layers.use(stored, model))
    load(attached, adapter)
    return attached


def load(model: Any, adapter: str) -> None:
    """Put a stored adapter's weights into the model's. A policy's has no score head: that is then the base's again.

    Raises:
        SpecError: the adapter has layers that the model has not.
    """
    state = load_peft_weights(adapter, device="cpu")
    if task(model) == "SEQ_CLS":
        state.setdefault(f"base_model.model.{HEAD}.weight", model.get_base_model().score.original_module.weight)
    if strangers := set_peft_model_state_dict(model, state).unexpected_keys:
        message = f"the adapter that the job starts from has a layer {strangers[0]!r}, which the model has not"
        raise SpecError(message, param="model")


def task(model: Any) -> str:
    """What peft has to know, or it would not keep the score head (huggingface/trl issue 1379)."""
    return "SEQ_CLS" if hasattr(model, HEAD) else "CAUSAL_LM"


def configure(model: Any, lora: Lora, *, param: str) -> LoraConfig:
    """Raises SpecError where the model has no such layers."""
    return LoraConfig(
        r=lora.r,
        lora_alpha=int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=lora.dropout,
        target_modules=_targets(model, lora, param),
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        init_lora_weights=INITIAL[lora.init],
        task_type=task(model),
    )


def _targets(model: Any, lora: Lora, param: str) -> list[str]:
    """The layers' names: the last parts of their paths, which every block repeats."""
    heads = (model.get_output_embeddings(), getattr(model, HEAD, None))
    linear = {name: module for name, module in model.named_modules() if isinstance(module, (torch.nn.Linear, Conv1D))}
    paths = [name for name, module in linear.items() if module not in heads]
    wanted = lora.target_modules
    if wanted == "all-linear":
        return sorted({path.rpartition(".")[2] for path in paths})
    if isinstance(wanted, str):
        found = {path.rpartition(".")[2] for path in paths if any(part in path for part in BLOCK_PARTS[wanted])}
        missing = [] if found else [wanted]
    else:
        found = set(wanted)
        missing = [name for name in wanted if not any(f".{path}".endswith(f".{name}") for path in paths)]
    if missing:
        known = ", ".join(sorted({path.rpartition(".")[2] for path in paths}))
        raise SpecError(
            f"lora.target_modules: the model has no {missing[0]!r}; its linear layers are {known}",
            param=f"{param}.target_modules",
        )
    return sorted(found)


def _refuse_other_shape(asked: Any, stored: Any, *, param: str) -> None:
    for key, name in SHAPE.items():
        given, has = (
            sorted(value) if isinstance(value, (list, set)) else value
            for value in (getattr(asked, name), getattr(stored, name))
        )
        if given != has:
            raise SpecError(
                f"lora.{key}: {given} was asked for, but the adapter that this job goes on training has {has}; leave "
                "lora out to take over its shape",
                param=f"{param}.{key}",
            )
