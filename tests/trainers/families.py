"""Chat templates of real models, as TRL ships them, on the tiny model's tokenizer with their special tokens."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trl
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from core.rows.template import ChatTemplate
from core.rows.tokens import ChatTokenizer

TEMPLATES = Path(trl.__file__).parent / "chat_templates"


@dataclass(frozen=True)
class Family:
    """bos, eos: tokens that the template knows by these names. others: those that it writes itself."""

    bos: str | None
    eos: str
    others: tuple[str, ...]


LLAMA = Family("<|begin_of_text|>", "<|eot_id|>", ("<|start_header_id|>", "<|end_header_id|>"))
QWEN = Family(None, "<|im_end|>", ("<|im_start|>",))
FAMILIES = {
    "llama3": LLAMA,
    "llama3_2": LLAMA,
    "qwen2_5": QWEN,
    "qwen3": QWEN,
    "gemma": Family("<bos>", "<eos>", ("<start_of_turn>", "<end_of_turn>")),
    "phi3": Family("<s>", "<|endoftext|>", ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")),
    "deepseek_r1_distill": Family(
        "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", ("<｜User｜>", "<｜Assistant｜>", "<｜tool▁outputs▁end｜>")
    ),
    "glm4moe": Family(
        None, "<|endoftext|>", ("[gMASK]", "<sop>", "<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
    ),
}


def of_family(tiny: Path, name: str) -> tuple[Any, ChatTokenizer]:
    """(transformers' tokenizer, ours) with the template of that family."""
    family = FAMILIES[name]
    tokenizer: Any = AutoTokenizer.from_pretrained(tiny)
    tokenizer.add_special_tokens(
        {"bos_token": family.bos or "<s>", "eos_token": family.eos, "additional_special_tokens": list(family.others)}
    )
    if family.bos is None:
        tokenizer.bos_token = None
    return tokenizer, templated(tokenizer, (TEMPLATES / f"{name}.jinja").read_text(encoding="utf-8"))


def templated(tokenizer: Any, template: str) -> ChatTokenizer:
    """A tokenizer of transformers with another template, in both worlds."""
    tokenizer.chat_template = template
    names = tokenizer.special_tokens_map
    special = frozenset(tokenizer.all_special_tokens)
    backend: Tokenizer = tokenizer.backend_tokenizer
    return ChatTokenizer(backend, ChatTemplate(template, special_tokens=names), special=special)
