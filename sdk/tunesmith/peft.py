"""Loading what a job made with peft and transformers, where they are installed."""

import importlib
import importlib.util
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tunesmith.errors import MissingPackage, TunesmithError
from tunesmith.types import Model

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def require() -> None:
    """See that both are installed.

    Raises:
        MissingPackage: one is not.
    """
    for package in ("peft", "transformers"):
        if importlib.util.find_spec(package) is None:
            raise MissingPackage(f"load_peft needs the package {package}: pip install peft transformers")


def cache_folder(job_id: str) -> Path:
    """Where a job's adapter is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "tunesmith" / "adapters" / job_id.replace("/", "_")


def adapter_files(names: Iterable[str], job_id: str) -> list[str]:
    """Those artifacts that make the adapter.

    Raises:
        TunesmithError: the job has none.
    """
    there = set(names)
    if not {CONFIG, WEIGHTS} <= there:
        raise TunesmithError(f"job {job_id} has no adapter to load: it has not succeeded, or made something else")
    return [CONFIG, WEIGHTS]


def maker(model: Model) -> str:
    """The job that made the model.

    Raises:
        TunesmithError: none did.
    """
    if model.job_id is None:
        raise TunesmithError(f"{model.id} is no fine-tuned model: load it with transformers")
    return model.job_id


def load(adapter: Path, base: Any) -> Any:
    """The model on its base; `base` as for `load_peft`."""
    peft, transformers = importlib.import_module("peft"), importlib.import_module("transformers")
    if base is None:
        base = peft.PeftConfig.from_pretrained(str(adapter)).base_model_name_or_path
    if isinstance(base, str | os.PathLike):
        base = transformers.AutoModelForCausalLM.from_pretrained(base)
    return peft.PeftModel.from_pretrained(base, str(adapter))
