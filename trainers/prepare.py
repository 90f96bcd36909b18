"""`python -m trainers.prepare SPEC_JSON`: turn a base model source into a folder that `from_pretrained` loads.

safetensors only, no remote code. Whoever calls gives the folder its final name when this has ended well.
"""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

from core.specs.run import PrepareSpec
from trainers import environment

environment.prepare()

import torch  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast  # noqa: E402  # noqa: E402

HUB_PATTERNS = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def main(spec_path: Path) -> int:
    prepare(PrepareSpec.model_validate_json(spec_path.read_bytes()))
    return 0


def prepare(spec: PrepareSpec) -> None:
    """Fill `spec.folder`.

    Raises:
        ValueError: the source is not a model that may be loaded here.
    """
    folder = Path(spec.folder)
    source = spec.source
    if source.kind == "wheel":
        from_wheel(source.location, folder)
    elif source.kind == "random":
        random_llama(folder)
    elif source.kind == "hf":
        from_hub(source.location, source.revision, folder)
    elif source.kind == "folder":
        take_over(Path(source.location), folder)
    else:
        raise ValueError(f"a source of kind {source.kind!r} is downloaded first, and comes as a folder")
    check(folder)


def from_wheel(location: str, folder: Path) -> None:
    """Dequantise the GGUF file of an installed package; the package itself is not imported."""
    package, _, name = location.partition("/")
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ValueError(f"the package {package!r} is not installed")
    file = next(iter(sorted(Path(found.origin).parent.rglob(name))), None)
    if file is None:
        raise ValueError(f"the package {package!r} has no file {name!r}")
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
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


def random_llama(folder: Path) -> None:
    """A Llama of 0.1 million random weights and a tokenizer of single bytes: the same bytes on every machine."""
    tokenizer = byte_tokenizer()
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
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.save_pretrained(folder, safe_serialization=True)
    tokenizer.save_pretrained(folder)


def byte_tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    symbols = special + sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: i for i, symbol in enumerate(symbols)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.decoder = decoders.ByteLevel()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.add_special_tokens(special)
    wrapped = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        clean_up_tokenization_spaces=False,
    )
    wrapped.chat_template = CHATML
    return wrapped


def from_hub(repository: str, revision: str | None, folder: Path) -> None:
    os.environ.pop("HF_HUB_OFFLINE", None)
    from huggingface_hub import snapshot_download

    snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=HUB_PATTERNS)


def take_over(source: Path, folder: Path) -> None:
    """Copy an operator's folder, without what must not be loaded."""
    if not source.is_dir():
        raise ValueError(f"{source} is not a folder")
    folder.mkdir(parents=True)
    for pattern in HUB_PATTERNS:
        for path in sorted(source.glob(pattern)):
            shutil.copyfile(path, folder / path.name)


def check(folder: Path) -> None:
    """Raises ValueError where the folder is no safetensors model with a chat template, or asks for remote code."""
    config = json.loads((folder / "config.json").read_text()) if (folder / "config.json").exists() else None
    if config is None:
        raise ValueError("the model has no config.json")
    if "auto_map" in config:
        raise ValueError("the model's config asks for remote code (auto_map)")
    if not list(folder.glob("*.safetensors")):
        raise ValueError("the model has no safetensors weights; other formats are not loaded")
    if not AutoTokenizer.from_pretrained(folder).chat_template:
        raise ValueError("the model's tokenizer has no chat template")


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
