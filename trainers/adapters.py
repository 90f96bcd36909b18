"""LoRA adapters: made, taken over from an earlier job, and written so that plain peft loads them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict, load_peft_weights, set_peft_model_state_dict
from transformers.pytorch_utils import Conv1D

from core.specs.lora import Lora
from trainers.errors import SpecError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
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


def attach(model: Any, *, lora: Lora | None, start_adapter: str | None) -> Any:
    """The model with a trainable adapter: a fresh one, or the one that goes on training.

    Raises:
        SpecError: the job asks for layers that the model has not, or for another shape than that of the adapter it
            starts from.
    """
    if start_adapter is None:
        return get_peft_model(model, configure(model, lora or Lora()))
    if not (Path(start_adapter) / WEIGHTS).exists():
        raise SpecError("the adapter that the job starts from has no safetensors weights", param="model")
    if lora is not None:
        _refuse_other_shape(configure(model, lora), LoraConfig.from_pretrained(start_adapter))
    attached = PeftModel.from_pretrained(model, start_adapter, is_trainable=True)
    # Whoever saves looks at the base's config; its public name would send peft to the hub for it.
    attached.peft_config["default"].base_model_name_or_path = model.name_or_path
    return attached


def configure(model: Any, lora: Lora) -> LoraConfig:
    """Raises SpecError where the model has no such layers."""
    return LoraConfig(
        r=lora.r,
        lora_alpha=int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha,  # pyright: ignore[reportArgumentType]
        lora_dropout=lora.dropout,
        target_modules=_targets(model, lora),
        use_rslora=lora.rslora,
        use_dora=lora.dora,
        init_lora_weights=INITIAL[lora.init],
        task_type="CAUSAL_LM",
    )


def _targets(model: Any, lora: Lora) -> list[str]:
    """The layers' names: the last parts of their paths, which every block repeats."""
    head = model.get_output_embeddings()
    linear = {name: module for name, module in model.named_modules() if isinstance(module, (torch.nn.Linear, Conv1D))}
    paths = [name for name, module in linear.items() if module is not head]
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
            param="method.supervised.lora.target_modules",
        )
    return sorted(found)


def _refuse_other_shape(asked: Any, stored: Any) -> None:
    for key, name in SHAPE.items():
        given, has = (
            sorted(value) if isinstance(value, (list, set)) else value
            for value in (getattr(asked, name), getattr(stored, name))
        )
        if given != has:
            raise SpecError(
                f"lora.{key}: {given} was asked for, but the adapter that this job goes on training has {has}; leave "
                "lora out to take over its shape",
                param=f"method.supervised.lora.{key}",
            )


def save_file(model: Any, path: Path) -> None:
    """Keep the adapter's weights as they are now."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    safetensors.torch.save_file(
        {name: weight.contiguous() for name, weight in get_peft_model_state_dict(model).items()}, partial
    )
    partial.replace(path)


def load_file(model: Any, path: Path) -> None:
    """Put weights that `save_file` has kept into the model's."""
    set_peft_model_state_dict(model, safetensors.torch.load_file(path))


def write_merged(model: Any, tokenizer: Any, folder: Path) -> None:
    """Merge the adapter into the base model and write that; nothing is to be done with the model afterwards."""
    model.merge_and_unload(safe_merge=True).save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    _tidy_tokenizer(folder)


def load_weights(model: Any, folder: str) -> None:
    """Put the weights of a stored adapter into the model's."""
    set_peft_model_state_dict(model, load_peft_weights(folder, device="cpu"))


def tidy(folder: Path, *, base_model_name: str) -> None:
    """Make a folder that peft and a tokenizer were saved in fit to leave the machine.

    The base goes by its public name, sets get an order, and what the libraries noted of this host goes.
    """
    with _rewritten(folder / CONFIG) as config:
        config["base_model_name_or_path"] = base_model_name
        config["target_modules"] = sorted(config["target_modules"])  # a set, in this process's order
    _tidy_tokenizer(folder)
    (folder / "README.md").unlink(missing_ok=True)


def _tidy_tokenizer(folder: Path) -> None:
    with _rewritten(folder / "tokenizer_config.json") as config:
        for key in ("is_local", "local_files_only", "name_or_path"):
            config.pop(key, None)


@contextmanager
def _rewritten(path: Path) -> Iterator[dict[str, Any]]:
    config = json.loads(path.read_text())
    yield config
    path.write_text(json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
