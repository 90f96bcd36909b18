"""LoRA adapters: made, taken over from an earlier job, and written so that plain peft loads them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import load_peft_weights, set_peft_model_state_dict

from core.specs.method import Lora
from trainers.errors import SpecError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def attach(model: Any, *, lora: Lora | None, start_adapter: str | None) -> Any:
    """The model with a trainable adapter: a fresh one, or the one that goes on training.

    Raises:
        SpecError: the job asks for another shape than that of the adapter it starts from.
    """
    if start_adapter is None:
        shape = lora or Lora()
        config = LoraConfig(
            r=shape.r,
            lora_alpha=int(shape.alpha) if shape.alpha == int(shape.alpha) else shape.alpha,  # pyright: ignore[reportArgumentType]
            lora_dropout=shape.dropout,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        )
        return get_peft_model(model, config)
    if not (Path(start_adapter) / WEIGHTS).exists():
        raise SpecError("the adapter that the job starts from has no safetensors weights", param="model")
    _refuse_other_shape(lora, json.loads((Path(start_adapter) / CONFIG).read_text()))
    attached = PeftModel.from_pretrained(model, start_adapter, is_trainable=True)
    # Whoever saves looks at the base's config; its public name would send peft to the hub for it.
    attached.peft_config["default"].base_model_name_or_path = model.name_or_path
    return attached


def _refuse_other_shape(lora: Lora | None, config: dict[str, Any]) -> None:
    if lora is None:
        return
    for key, stored in (("r", "r"), ("alpha", "lora_alpha"), ("dropout", "lora_dropout")):
        if getattr(lora, key) != config[stored]:
            raise SpecError(
                f"lora.{key}: {getattr(lora, key)} was asked for, but the adapter that this job goes on training has "
                f"{config[stored]}; leave lora out to take over its shape",
                param=f"method.supervised.lora.{key}",
            )


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
    with _rewritten(folder / "tokenizer_config.json") as config:
        for key in ("is_local", "local_files_only", "name_or_path"):
            config.pop(key, None)
    (folder / "README.md").unlink(missing_ok=True)


@contextmanager
def _rewritten(path: Path) -> Iterator[dict[str, Any]]:
    config = json.loads(path.read_text())
    yield config
    path.write_text(json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
