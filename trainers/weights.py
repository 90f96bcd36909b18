"""What a job trains, an adapter or all weights: made, kept, put back, and written so that it can leave the machine."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
from peft import PeftModel
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict

from core.specs.run import RunSpec
from trainers import adapters
from trainers.facts import write_facts
from trainers.loading import load_base


def start(spec: RunSpec) -> Any:
    """The model as training begins.

    Raises:
        SpecError: the adapter that the job asks for, or starts from, can't be made.
    """
    options = spec.method.options
    model = load_base(spec)
    if options.weights == "adapter":
        param = f"method.{spec.method.type}.lora"
        return adapters.attach(model, lora=options.lora, start_adapter=spec.start_adapter, param=param)
    return adapters.merged(model, spec.start_adapter) if spec.start_adapter else model


def write(model: Any, folder: Path) -> None:
    """Write the model, or its adapter, as plain transformers or peft loads it."""
    if isinstance(model, PeftModel):
        model.save_pretrained(str(folder), safe_serialization=True, selected_adapters=["default"])
    else:
        model.save_pretrained(folder, safe_serialization=True)


def save(model: Any, path: Path) -> None:
    """Keep the trained weights as they are now."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    if isinstance(model, PeftModel):
        state = get_peft_model_state_dict(model)
        safetensors.torch.save_file({name: weight.contiguous() for name, weight in state.items()}, partial)
    else:
        safetensors.torch.save_model(model, str(partial))
    partial.replace(path)


def are_finite(model: Any) -> bool:
    """Whether those that are trained are numbers."""
    return all(bool(weight.isfinite().all()) for weight in model.parameters() if weight.requires_grad)


def load(model: Any, path: Path) -> None:
    """Put weights that `save` has kept into the model's."""
    if isinstance(model, PeftModel):
        set_peft_model_state_dict(model, safetensors.torch.load_file(path))
    else:
        safetensors.torch.load_model(model, str(path))


def load_folder(model: Any, folder: str) -> None:
    """Put the weights of a folder that the model, or its checkpoint, was saved in into the model's."""
    if isinstance(model, PeftModel):
        adapters.load(model, folder)
    else:
        model.load_state_dict(type(model).from_pretrained(folder, dtype=model.dtype).state_dict())


@contextmanager
def as_before(model: Any, spec: RunSpec) -> Iterator[None]:
    """The model as it was before training; its own weights may be lost afterwards."""
    if not isinstance(model, PeftModel):
        model.load_state_dict(start(spec).state_dict())
    elif spec.start_adapter is not None:
        load_folder(model, spec.start_adapter)
    else:
        with model.disable_adapter():
            yield
        return
    yield


def tidy(folder: Path, *, base_model_name: str) -> None:
    """Make a folder that a model and its tokenizer were saved in fit to leave the machine.

    Whole weights are a base: their figures stand beside them. An adapter's base goes by its public name, sets get an
    order, and what the libraries noted of this host goes. So does the adapter that is only referred to: it is the one
    that the job starts from.
    """
    shutil.rmtree(folder / adapters.REFERENCE, ignore_errors=True)
    if (folder / adapters.CONFIG).exists():
        with _rewritten(folder / adapters.CONFIG) as config:
            config["base_model_name_or_path"] = base_model_name
            config["target_modules"] = sorted(config["target_modules"])  # a set, in this process's order
    if (folder / "config.json").exists():
        write_facts(folder)
    with _rewritten(folder / "tokenizer_config.json") as config:
        for key in ("is_local", "local_files_only", "name_or_path"):
            config.pop(key, None)
    (folder / "README.md").unlink(missing_ok=True)


def write_merged(model: Any, tokenizer: Any, folder: Path) -> None:
    """Merge the adapter into the base model and write that; nothing is to be done with the model afterwards."""
    model.merge_and_unload(safe_merge=True).save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)
    tidy(folder, base_model_name="")


@contextmanager
def _rewritten(path: Path) -> Iterator[dict[str, Any]]:
    config = json.loads(path.read_text())
    yield config
    path.write_text(json.dumps(config, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
