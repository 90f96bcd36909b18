"""Which tokens carry loss, token by token; and that text and tokens are those of transformers."""

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from core.rows.chat import Chat, Message, to_chat
from core.rows.template import ChatTemplate, as_dicts
from core.rows.tokens import IGNORED, ChatTokenizer
from tests.trainers.families import FAMILIES, TEMPLATES, of_family, templated

CHAT = [
    Message("system", "Be brief"),
    Message("user", "one?"),
    Message("assistant", "eins", trained=True),
    Message("user", "two?"),
    Message("assistant", "zwo"),  # weight 0
    Message("user", "three?"),
    Message("assistant", " drei\n", trained=True),
]

# What no family of tests/trainers/families.py has: answers that nothing ends.
HEADINGS = (
    "{% for m in messages %}### {{ m.role }}\n{{ m.content }}\n\n{% endfor %}"
    "{% if add_generation_prompt %}### assistant\n{% endif %}"
)
# And tools that move to the last question, and `generation` blocks.
MISTRAL = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}"
    "{% if loop.last and tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}[/AVAILABLE_TOOLS]{% endif %}"
    "[INST]{{ ' ' + m.content }}[/INST]{% elif m.role == 'system' %}[SYS]{{ m.content }}[/SYS]"
    "{% elif m.role == 'tool' %}[TOOL_RESULTS]{{ {'content': m.content, 'call_id': m.tool_call_id} | tojson }}"
    "[/TOOL_RESULTS]{% elif m.tool_calls %}[TOOL_CALLS]{% for c in m.tool_calls %}{{ c.function | tojson }}"
    "{% endfor %}{{ eos_token }}{% else %}{% generation %}{{ ' ' + m.content + eos_token }}"
    "{% endgeneration %}{% endif %}"
    "{% endfor %}"
)
OTHERS = {"headings": HEADINGS, "mistral": MISTRAL}

CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Köln", "days": 2}'}}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "a <b>", "parameters": PARAMETERS}}]
WITH_TOOLS = Chat(
    [
        Message("system", "Be brief"),
        Message("user", "weather?"),
        Message("assistant", "", trained=True, tool_calls=[CALL]),
        Message("tool", '{"sky": "grey"}', tool_call_id="c1"),
        Message("assistant", "grey", trained=True),
    ],
    TOOLS,
)


@pytest.fixture
def tokenizer(tiny: Path) -> Any:
    """transformers' own."""
    return AutoTokenizer.from_pretrained(tiny)


@pytest.fixture
def ours(tiny: Path) -> ChatTokenizer:
    return ChatTokenizer.load(tiny)


def learnt(tokens: Any, chat: Chat) -> list[str]:
    """The runs of labels, as text."""
    row = tokens.tokenize(chat, offsets=True)
    assert len(row.input_ids) == len(row.labels) == len(row.offsets)
    runs: list[list[int]] = [[]]
    for token, label in zip(row.input_ids, row.labels, strict=True):
        assert label in (IGNORED, token)
        if label == IGNORED:
            runs.append([])
        else:
            runs[-1].append(token)
    return [tokens._tokenizer.decode(run, skip_special_tokens=False) for run in runs if run]


def random_chats(count: int, *, seed: int) -> list[Chat]:
    """Multi-turn chats of awkward contents: blanks at their ends, repeats, several scripts, private characters."""
    draw = random.Random(seed)
    parts = ["a", " ", "\n", "é", "😀", "assistant", "\ue000", "\t", "the", "  ", "<b>", "東京"]
    chats = []
    for _ in range(count):
        system = [Message("system", "".join(draw.choices(parts, k=3)))] if draw.random() < 0.5 else []
        turns: list[Message] = []
        for _ in range(draw.randint(1, 3)):
            answer = "x" + "".join(draw.choices(parts, k=draw.randint(1, 6)))
            turns += [Message("user", "".join(draw.choices(parts, k=4))), Message("assistant", answer, trained=True)]
        chats.append(Chat([*system, *turns]))
    return chats


def test_chatml_token_by_token(ours: ChatTokenizer, tokenizer: Any) -> None:
    tokens = ours.tokenize(Chat(CHAT))
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
    ("family", "expected"),
    [
        ("headings", ["eins", " drei\n"]),
        ("mistral", [" eins<|im_end|>", "  drei\n<|im_end|>"]),
    ],
)
def test_other_templates(tokenizer: Any, family: str, expected: list[str]) -> None:
    assert learnt(templated(tokenizer, OTHERS[family]), Chat(CHAT)) == expected


@pytest.mark.parametrize(("family", "before", "end"), [("headings", "", ""), ("mistral", " ", "<|im_end|>")])
def test_what_was_thought_is_learnt_with_the_answer(tokenizer: Any, family: str, before: str, end: str) -> None:
    chat = to_chat(1, {"problem": "2+2?", "reasoning": "two, three,\nfour", "answer": "4"})
    tokens = templated(tokenizer, OTHERS[family])
    assert learnt(tokens, chat) == [f"{before}<think>\ntwo, three,\nfour\n</think>\n\n4{end}"]


def test_tool_calls_are_learnt_where_tools_move_about(tokenizer: Any) -> None:
    call, answer = learnt(templated(tokenizer, MISTRAL), WITH_TOOLS)
    assert '"weather"' in call
    assert '"Köln"' in call
    assert call.endswith("<|im_end|>")
    assert answer.strip() == "grey<|im_end|>"


def any_template(tiny: Path, name: str) -> tuple[Any, ChatTokenizer]:
    """(transformers' tokenizer, ours) of a real family, of another template, or the model's own."""
    if name in FAMILIES:
        return of_family(tiny, name)
    theirs: Any = AutoTokenizer.from_pretrained(tiny)
    return theirs, templated(theirs, OTHERS.get(name) or theirs.chat_template)


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS, "chatml"])
def test_text_is_that_of_transformers(tiny: Path, family: str) -> None:
    tokenizer, ours = any_template(tiny, family)
    chats = [*random_chats(20, seed=1), WITH_TOOLS, Chat(WITH_TOOLS.messages)]
    compared = 0
    for chat in chats:
        messages = as_dicts(chat.messages)
        for prompt in (False, True):
            try:
                theirs = tokenizer.apply_chat_template(
                    messages, tools=chat.tools, tokenize=False, add_generation_prompt=prompt
                )
            except Exception:
                with pytest.raises(ValueError, match="refuses this chat"):
                    ours.template.render(messages, tools=chat.tools, prompt=prompt)
                continue
            assert ours.template.render(messages, tools=chat.tools, prompt=prompt) == theirs
            compared += 1
    assert compared >= 10


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS, "chatml"])
def test_the_fast_way_finds_the_places_of_the_careful_one(
    tiny: Path, family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, ours = any_template(tiny, family)
    chats = [chat for chat in random_chats(60, seed=2) if family != "gemma" or chat.messages[0].role == "user"]
    fast = [ours.tokenize(chat) for chat in chats]
    used = sum(ours._places(c, as_dicts(c.messages), row.text) is not None for c, row in zip(chats, fast, strict=True))
    assert used > 0
    monkeypatch.setattr(ours, "_places", lambda *_: None)
    assert [ours.tokenize(chat) for chat in chats] == fast


@pytest.mark.slow
def test_smollm2_is_that_of_transformers(smollm2: Path) -> None:
    theirs: Any = AutoTokenizer.from_pretrained(smollm2)
    ours = ChatTokenizer.load(smollm2)
    assert ours.special == set(theirs.all_special_tokens) | {
        token.content for token in theirs.added_tokens_decoder.values() if token.special
    }
    for chat in random_chats(100, seed=3):
        messages = as_dicts(chat.messages)
        assert ours.tokenize(chat).input_ids == theirs.apply_chat_template(messages)["input_ids"]


def test_a_template_for_tools_is_used_for_chats_with_tools(tiny: Path, tmp_path: Path) -> None:
    theirs: Any = AutoTokenizer.from_pretrained(tiny)
    theirs.chat_template = {
        "default": "plain {{ messages[-1].content }}",
        "tool_use": (TEMPLATES / "llama3_2.jinja").read_text(),
    }
    theirs.save_pretrained(tmp_path)
    ours, theirs = ChatTokenizer.load(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    for chat in (WITH_TOOLS, Chat(CHAT)):
        messages = as_dicts(chat.messages)
        text = theirs.apply_chat_template(messages, tools=chat.tools, tokenize=False)
        assert ours.template.render(messages, tools=chat.tools) == text


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='x') %}{% for a in range(40) %}{% set ns.s = ns.s ~ ns.s %}{{ ns.s }}{% endfor %}",
        "{{ 'x' * 10**12 }}",
        "{{ 9**9**9 }}",
        "{{ [0] * 10**12 }}",
        "{{ messages.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ namespace(__class__=1) }}",
        "{% include '/etc/passwd' %}",
    ],
)
def test_hostile_templates_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match="refuses this chat"):
        ChatTemplate(template, special_tokens={}).render([{"role": "user", "content": "x"}])


def test_characters_of_several_tokens(ours: ChatTokenizer) -> None:
    chat = Chat([Message("user", "à"), Message("assistant", "thé 😀", trained=True)])
    assert learnt(ours, chat) == ["thé 😀<|im_end|>"]


def test_content_that_repeats_its_surroundings(ours: ChatTokenizer) -> None:
    chat = Chat([Message("user", "assistant\n"), Message("assistant", "assistant\nuser", trained=True)])
    assert learnt(ours, chat) == ["assistant\nuser<|im_end|>"]


def test_no_token_lies_across_the_start_of_an_answer(tokenizer: Any) -> None:
    """A tokenizer that merges the header's newline with a letter behind it is cut at the seam, as serving cuts it."""
    merging = AutoTokenizer.from_pretrained(tokenizer.name_or_path)
    merging.add_tokens(["\na"])
    ours = templated(merging, merging.chat_template)
    tokens = ours.tokenize(Chat([Message("user", "x"), Message("assistant", "abc", trained=True)]))
    served = merging("<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n")["input_ids"]
    assert tokens.input_ids[: len(served)] == served
    assert tokens.labels[: len(served)] == [IGNORED] * len(served)
    assert merging.decode(tokens.labels[len(served) : -1]) == "abc<|im_end|>"


def test_what_the_template_drops_is_an_error(tokenizer: Any) -> None:
    with pytest.raises(ValueError, match=r"leaves out or rewrites messages\[2\]"):
        templated(tokenizer, "{{ messages[0].content }}").tokenize(Chat(CHAT))


def test_a_call_that_a_template_drops_is_an_error(tokenizer: Any) -> None:
    """Be it one of two."""
    template = "{% for m in messages %}{{ m.content }}{{ m.tool_calls[0].function.name if m.tool_calls }}{% endfor %}"
    calls = [CALL, {**CALL, "id": "c2", "function": {"name": "time", "arguments": "{}"}}]
    messages = [Message("user", "weather?"), Message("assistant", "", trained=True, tool_calls=calls)]
    with pytest.raises(ValueError, match=r"does not show the tool calls of messages\[1\]"):
        templated(tokenizer, template).tokenize(Chat(messages, TOOLS))
    assert learnt(templated(tokenizer, template), Chat([messages[0], replace(messages[1], tool_calls=[CALL])], TOOLS))


def test_arguments_nested_too_deeply_to_be_read_stay_text() -> None:
    arguments = '{"a":' * 5000 + "1" + "}" * 5000
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    (rendered,) = as_dicts([Message("assistant", "", trained=True, tool_calls=[call])])
    assert rendered["tool_calls"] == [call]
