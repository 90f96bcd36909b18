"""Loading what a job made with peft and transformers, where they are installed."""

import importlib
import importlib.util
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tunesmith.errors import MissingPackage, TunesmithError
from tunesmith.types import Model

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
GIVE_BASE = "give base, a folder with that model or the model itself"


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
    """Those artifacts that make the adapter, with its tokenizer.

    Raises:
        TunesmithError: the job has none.
    """
    there = set(names)
    if "config.json" in there:
        raise TunesmithError(
            f"job {job_id} made a model with full weights: download its artifacts into a folder, and load that with "
            "transformers"
        )
    if not {CONFIG, WEIGHTS} <= there:
        raise TunesmithError(f"job {job_id} has no adapter to load: it has not succeeded, or made something else")
    return [CONFIG, WEIGHTS, *(name for name in TOKENIZER if name in there)]


def maker(model: Model) -> str:
    """The job that made the model.

    Raises:
        TunesmithError: none did.
    """
    if model.job_id is None:
        raise TunesmithError(f"{model.id} is no fine-tuned model: load it with transformers")
    return model.job_id


def base_name(adapter: Path) -> str:
    """What the adapter was trained from: a local folder, or what the Hugging Face hub may have.

    Raises:
        TunesmithError: it is neither; the hub has not been asked.
    """
    name = str(_config(adapter)["base_model_name_or_path"])
    if name.startswith("ft:") and not Path(name).is_dir():
        raise TunesmithError(f"{name} was made by a job: download its artifacts, and give that folder as base")
    if "/" not in name and not Path(name).is_dir():
        raise TunesmithError(f"{name} is a base model of the server's catalogue, and no folder here: {GIVE_BASE}")
    return name


def load(adapter: Path, base: Any) -> Any:
    """The model on its base; `base` as for `load_peft`.

    Raises:
        TunesmithError: no base was given, and its name leads nowhere.
    """
    named = base is None
    if named:
        base = base_name(adapter)
    peft, transformers = importlib.import_module("peft"), importlib.import_module("transformers")
    scores = _config(adapter).get("task_type") == "SEQ_CLS"
    try:
        if isinstance(base, str | os.PathLike):
            base = _load_base(transformers, base, scores=scores)
    except OSError as error:
        if not named:
            raise
        raise TunesmithError(f"{base} is neither in a folder here nor on the Hugging Face hub: {GIVE_BASE}") from error
    if scores:
        # The score is that of the last token which is no padding: it has to be the one that training looked at.
        base.config.pad_token_id = transformers.AutoTokenizer.from_pretrained(str(adapter)).pad_token_id
    return peft.PeftModel.from_pretrained(base, str(adapter))


def _load_base(transformers: Any, base: Any, *, scores: bool) -> Any:
    """The base of an adapter; one that `scores` brings the head of its own."""
    if scores:
        # Not in what the base was stored in: the head's scores would be rounded to its precision.
        return transformers.AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype="float32")
    return transformers.AutoModelForCausalLM.from_pretrained(base)


def _config(adapter: Path) -> dict[str, Any]:
    return json.loads((adapter / CONFIG).read_text(encoding="utf-8"))
