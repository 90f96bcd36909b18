"""Which tokens carry loss, token by token."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from core.rows.chat import Message
from trainers.tokenize import IGNORED, tokenize

CHAT = [
    Message("system", "Be brief"),
    Message("user", "one?"),
    Message("assistant", "eins", trained=True),
    Message("user", "two?"),
    Message("assistant", "zwo"),  # weight 0
    Message("user", "three?"),
    Message("assistant", " drei\n", trained=True),
]

THINKS = (
    "{% set ns = namespace(last=0) %}"
    "{% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{% if m.role == 'assistant' and loop.index0 > ns.last %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
INST = (
    "{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content.strip() }}<|im_end|>"
    "{% elif m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %}<<{{ m.content }}>>{% endif %}{% endfor %}"
)
HEADINGS = (
    "{% for m in messages %}### {{ m.role }}\n{{ m.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant\n{% endif %}"
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}{% endfor %}"
)


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    return AutoTokenizer.from_pretrained(tiny)


def learnt(tokenizer: Any, messages: list[Message]) -> list[str]:
    """The runs of labels, as text."""
    tokens = tokenize(tokenizer, messages)
    assert len(tokens.input_ids) == len(tokens.labels)
    runs: list[list[int]] = [[]]
    for token, label in zip(tokens.input_ids, tokens.labels, strict=True):
        assert label in (IGNORED, token)
        if label == IGNORED:
            runs.append([])
        else:
            runs[-1].append(token)
    return [tokenizer.decode(run) for run in runs if run]


def test_chatml_token_by_token(tokenizer: Any) -> None:
    tokens = tokenize(tokenizer, CHAT)
    parts = [
        ("<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\none?<|im_end|>\n<|im_start|>assistant\n", False),
        ("eins<|im_end|>", True),
        ("\n<|im_start|>user\ntwo?<|im_end|>\n<|im_start|>assistant\nzwo<|im_end|>\n", False),
        ("<|im_start|>user\nthree?<|im_end|>\n<|im_start|>assistant\n", False),
        (" drei\n<|im_end|>", True),
        ("\n", False),
    ]
    ids = [(token, trained) for text, trained in parts for token in tokenizer(text)["input_ids"]]
    assert tokens.input_ids == [token for token, _ in ids]
    assert tokens.labels == [token if trained else IGNORED for token, trained in ids]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (THINKS, ["eins<|im_end|>", "<think>\n\n</think>\n\n drei\n<|im_end|>"]),
        (INST, [" eins<|im_end|>", " drei<|im_end|>"]),
        (HEADINGS, ["eins", " drei\n"]),
    ],
    ids=["thinks", "inst", "headings"],
)
def test_other_families_of_templates(tokenizer: Any, template: str, expected: list[str]) -> None:
    tokenizer.chat_template = template
    assert learnt(tokenizer, CHAT) == expected


def test_characters_of_several_tokens(tokenizer: Any) -> None:
    assert learnt(tokenizer, [Message("user", "à"), Message("assistant", "thé 😀", trained=True)]) == [
        "thé 😀<|im_end|>"
    ]


def test_content_that_repeats_its_surroundings(tokenizer: Any) -> None:
    chat = [Message("user", "assistant\n"), Message("assistant", "assistant\nuser", trained=True)]
    assert learnt(tokenizer, chat) == ["assistant\nuser<|im_end|>"]


def test_no_token_lies_across_the_start_of_an_answer(tokenizer: Any) -> None:
    """A tokenizer that merges the header's newline with a letter behind it is cut at the seam, as serving cuts it."""
    merging = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    merging.add_tokens(["\na"])
    tokens = tokenize(merging, [Message("user", "x"), Message("assistant", "abc", trained=True)])
    served = merging("<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    assert tokens.input_ids[: len(served)] == served
    assert tokens.labels[: len(served)] == [IGNORED] * len(served)
    assert merging.decode(tokens.labels[len(served) : -1]) == "abc<|im_end|>"


def test_what_the_template_refuses_or_drops_is_an_error(tokenizer: Any) -> None:
    tokenizer.chat_template = NO_SYSTEM
    with pytest.raises(ValueError, match="refuses this chat: no system"):
        tokenize(tokenizer, CHAT)
    tokenizer.chat_template = "{{ messages[0].content }}"
    with pytest.raises(ValueError, match=r"leaves out or rewrites messages\[2\]"):
        tokenize(tokenizer, CHAT)
