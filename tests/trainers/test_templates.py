"""Templates of real models, row by row and token by token: which tokens there are, and which carry loss."""

import re
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.rows.chat import to_chat
from core.rows.template import as_dicts
from core.rows.tokens import IGNORED
from tests.trainers.families import FAMILIES, of_family

CALL = {"id": "c1", "type": "function", "function": {"name": "sky", "arguments": '{"city": "Köln", "days": 2}'}}
ONE_TOOL = {"type": "function", "function": {"name": "sky", "description": "a <b>"}}
ASKED = {"role": "user", "content": "sky?"}
FOUND = [
    {"role": "tool", "tool_call_id": "c1", "content": '{"sky": "grey"}'},
    {"role": "assistant", "content": "grey"},
]
ROWS: dict[str, dict[str, Any]] = {
    "turns": {
        "messages": [
            {"role": "user", "content": "one?"},
            {"role": "assistant", "content": "eins"},
            {"role": "user", "content": "two?"},
            {"role": "assistant", "content": "zwo", "weight": 0},
            {"role": "user", "content": "three?"},
            {"role": "assistant", "content": " drei\n"},
        ]
    },
    "system": {
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "one?"},
            {"role": "assistant", "content": "eins"},
        ]
    },
    "tools": {"tools": [ONE_TOOL], "messages": [ASKED, {"role": "assistant", "tool_calls": [CALL]}, *FOUND]},
    "tools, call of weight 0": {
        "tools": [ONE_TOOL],
        "messages": [ASKED, {"role": "assistant", "tool_calls": [CALL], "weight": 0}, *FOUND],
    },
    "reasoning": {"problem": "2+2?", "reasoning": "two,\nfour", "answer": "4"},
}


class Refused(str):
    """What is said of a row for which the template has no place."""


NOT_SHOWN = Refused("does not show the tool calls of messages[1]")
ALTERNATE = Refused("refuses this chat: Conversation roles must alternate")

QWEN_TOOLS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "sky", "description": "a <b>"}}
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
<|im_start|>user
sky?<|im_end|>
<|im_start|>assistant
"""
QWEN_CALL = '<tool_call>\n{"name": "sky", "arguments": {"city": "Köln", "days": 2}}\n</tool_call><|im_end|>'
QWEN_FOUND = """
<|im_start|>user
<tool_response>
{"sky": "grey"}
</tool_response><|im_end|>
<|im_start|>assistant
"""
BY_ALIBABA = "<|im_start|>system\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant."
GLM_TOOLS = """[gMASK]<sop><|system|>
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
{"type": "function", "function": {"name": "sky", "description": "a <b>"}}
</tools>

For each function call, output the function name and arguments within the following XML format:
<tool_call>{function-name}
<arg_key>{arg-key-1}</arg_key>
<arg_value>{arg-value-1}</arg_value>
<arg_key>{arg-key-2}</arg_key>
<arg_value>{arg-value-2}</arg_value>
...
</tool_call><|user|>
sky?<|assistant|>"""
GLM_CALL = """
<think></think>
<tool_call>sky
<arg_key>city</arg_key>
<arg_value>Köln</arg_value>
<arg_key>days</arg_key>
<arg_value>2</arg_value>
</tool_call><|observation|>"""
GLM_FOUND = '\n<tool_response>\n{"sky": "grey"}\n</tool_response><|assistant|>'
LLAMA_TODAY = "Cutting Knowledge Date: December 2023\nToday Date: {today}\n\n"
LLAMA_USER = "<|start_header_id|>user<|end_header_id|>\n\n"
LLAMA_ASSISTANT = "<|start_header_id|>assistant<|end_header_id|>\n\n"
LLAMA_SYSTEM = "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
LLAMA_TURNS = [
    f"{LLAMA_USER}one?<|eot_id|>{LLAMA_ASSISTANT}",
    "eins<|eot_id|>",
    f"{LLAMA_USER}two?<|eot_id|>{LLAMA_ASSISTANT}zwo<|eot_id|>{LLAMA_USER}three?<|eot_id|>{LLAMA_ASSISTANT}",
    "drei<|eot_id|>",
]
LLAMA_TOOLS = (
    f"{LLAMA_SYSTEM}Environment: ipython\n{LLAMA_TODAY}<|eot_id|>{LLAMA_USER}"
    "Given the following functions, please respond with a JSON for a function call with its proper arguments that best "
    'answers the given prompt.\n\nRespond in the format {"name": function name, "parameters": dictionary of argument '
    "name and its value}.Do not use variables.\n\n"
    '{\n    "type": "function",\n    "function": {\n        "name": "sky",\n        "description": "a <b>"\n    }\n}'
    f"\n\nsky?<|eot_id|>{LLAMA_ASSISTANT}"
)
LLAMA_CALL = '{"name": "sky", "parameters": {"city": "Köln", "days": 2}}<|eot_id|>'
LLAMA_FOUND = '<|start_header_id|>ipython<|end_header_id|>\n\n"{\\"sky\\": \\"grey\\"}"<|eot_id|>' + LLAMA_ASSISTANT
THOUGHT = "<think>\ntwo,\nfour\n</think>\n\n4"

# By family and row: what is read and what is learnt, in turns. Written by hand from the models' own formats.
EXPECTED: dict[str, dict[str, list[str] | Refused]] = {
    "llama3": {
        "turns": ["<|begin_of_text|>" + LLAMA_TURNS[0], *LLAMA_TURNS[1:]],
        "system": [f"{LLAMA_SYSTEM}Be brief<|eot_id|>{LLAMA_TURNS[0]}", "eins<|eot_id|>"],
        "tools": NOT_SHOWN,
        "tools, call of weight 0": [
            f"<|begin_of_text|>{LLAMA_USER}sky?<|eot_id|>{LLAMA_ASSISTANT}<|eot_id|>"
            f'<|start_header_id|>tool<|end_header_id|>\n\n{{"sky": "grey"}}<|eot_id|>{LLAMA_ASSISTANT}',
            "grey<|eot_id|>",
        ],
        "reasoning": [f"<|begin_of_text|>{LLAMA_USER}2+2?<|eot_id|>{LLAMA_ASSISTANT}", f"{THOUGHT}<|eot_id|>"],
    },
    "llama3_2": {
        "turns": [f"{LLAMA_SYSTEM}{LLAMA_TODAY}<|eot_id|>{LLAMA_TURNS[0]}", *LLAMA_TURNS[1:]],
        "system": [f"{LLAMA_SYSTEM}{LLAMA_TODAY}Be brief<|eot_id|>{LLAMA_TURNS[0]}", "eins<|eot_id|>"],
        "tools": [LLAMA_TOOLS, LLAMA_CALL, LLAMA_FOUND, "grey<|eot_id|>"],
        "tools, call of weight 0": [LLAMA_TOOLS + LLAMA_CALL + LLAMA_FOUND, "grey<|eot_id|>"],
        "reasoning": [
            f"{LLAMA_SYSTEM}{LLAMA_TODAY}<|eot_id|>{LLAMA_USER}2+2?<|eot_id|>{LLAMA_ASSISTANT}",
            f"{THOUGHT}<|eot_id|>",
        ],
    },
    "qwen2_5": {
        "turns": [
            f"{BY_ALIBABA}<|im_end|>\n<|im_start|>user\none?<|im_end|>\n<|im_start|>assistant\n",
            "eins<|im_end|>",
            "\n<|im_start|>user\ntwo?<|im_end|>\n<|im_start|>assistant\nzwo<|im_end|>\n"
            "<|im_start|>user\nthree?<|im_end|>\n<|im_start|>assistant\n",
            " drei\n<|im_end|>",
            "\n",
        ],
        "system": [
            "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\none?<|im_end|>\n<|im_start|>assistant\n",
            "eins<|im_end|>",
            "\n",
        ],
        "tools": [f"{BY_ALIBABA}\n\n{QWEN_TOOLS}", QWEN_CALL, QWEN_FOUND, "grey<|im_end|>", "\n"],
        "tools, call of weight 0": [
            f"{BY_ALIBABA}\n\n{QWEN_TOOLS}{QWEN_CALL}{QWEN_FOUND}",
            "grey<|im_end|>",
            "\n",
        ],
        "reasoning": [
            f"{BY_ALIBABA}<|im_end|>\n<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n",
            f"{THOUGHT}<|im_end|>",
            "\n",
        ],
    },
    # It thinks before its last answer only, be it nothing.
    "qwen3": {
        "turns": [
            "<|im_start|>user\none?<|im_end|>\n<|im_start|>assistant\n",
            "eins<|im_end|>",
            "\n<|im_start|>user\ntwo?<|im_end|>\n<|im_start|>assistant\nzwo<|im_end|>\n"
            "<|im_start|>user\nthree?<|im_end|>\n<|im_start|>assistant\n",
            "<think>\n\n</think>\n\n drei\n<|im_end|>",
            "\n",
        ],
        "system": [
            "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\none?<|im_end|>\n<|im_start|>assistant\n",
            "<think>\n\n</think>\n\neins<|im_end|>",
            "\n",
        ],
        "tools": [
            f"<|im_start|>system\n{QWEN_TOOLS}",
            QWEN_CALL,
            QWEN_FOUND,
            "<think>\n\n</think>\n\ngrey<|im_end|>",
            "\n",
        ],
        "tools, call of weight 0": [
            f"<|im_start|>system\n{QWEN_TOOLS}{QWEN_CALL}{QWEN_FOUND}",
            "<think>\n\n</think>\n\ngrey<|im_end|>",
            "\n",
        ],
        "reasoning": [
            "<|im_start|>user\n2+2?<|im_end|>\n<|im_start|>assistant\n",
            f"{THOUGHT}<|im_end|>",
            "\n",
        ],
    },
    "gemma": {
        "turns": [
            "<bos><start_of_turn>user\none?<end_of_turn>\n<start_of_turn>model\n",
            "eins<end_of_turn>",
            "\n<start_of_turn>user\ntwo?<end_of_turn>\n<start_of_turn>model\nzwo<end_of_turn>\n"
            "<start_of_turn>user\nthree?<end_of_turn>\n<start_of_turn>model\n",
            "drei<end_of_turn>",
            "\n",
        ],
        "system": Refused("refuses this chat: System role not supported"),
        "tools": ALTERNATE,
        "tools, call of weight 0": ALTERNATE,
        "reasoning": [
            "<bos><start_of_turn>user\n2+2?<end_of_turn>\n<start_of_turn>model\n",
            f"{THOUGHT}<end_of_turn>",
            "\n",
        ],
    },
    # It shows neither tools nor calls nor results.
    "phi3": {
        "turns": [
            "<|user|>\none?<|end|>\n<|assistant|>\n",
            "eins<|end|>",
            "\n<|user|>\ntwo?<|end|>\n<|assistant|>\nzwo<|end|>\n<|user|>\nthree?<|end|>\n<|assistant|>\n",
            " drei\n<|end|>",
            "\n<|endoftext|>",
        ],
        "system": [
            "<|system|>\nBe brief<|end|>\n<|user|>\none?<|end|>\n<|assistant|>\n",
            "eins<|end|>",
            "\n<|endoftext|>",
        ],
        "tools": NOT_SHOWN,
        "tools, call of weight 0": [
            "<|user|>\nsky?<|end|>\n<|assistant|>\n<|end|>\n<|assistant|>\n",
            "grey<|end|>",
            "\n<|endoftext|>",
        ],
        "reasoning": ["<|user|>\n2+2?<|end|>\n<|assistant|>\n", f"{THOUGHT}<|end|>", "\n<|endoftext|>"],
    },
    # Its prompt ends in <think>, which the template takes out of every answer.
    "deepseek_r1_distill": {
        "turns": [
            "<｜begin▁of▁sentence｜><｜User｜>one?<｜Assistant｜>",
            "eins<｜end▁of▁sentence｜>",
            "<｜User｜>two?<｜Assistant｜>zwo<｜end▁of▁sentence｜><｜User｜>three?<｜Assistant｜>",
            " drei\n<｜end▁of▁sentence｜>",
        ],
        "system": [
            "<｜begin▁of▁sentence｜>Be brief<｜User｜>one?<｜Assistant｜>",
            "eins<｜end▁of▁sentence｜>",
        ],
        "tools": NOT_SHOWN,
        "tools, call of weight 0": [
            "<｜begin▁of▁sentence｜><｜User｜>sky?<｜Assistant｜><｜end▁of▁sentence｜><｜tool▁outputs▁begin｜>"
            '<｜tool▁output▁begin｜>{"sky": "grey"}<｜tool▁output▁end｜><｜tool▁outputs▁end｜>',
            "grey<｜end▁of▁sentence｜>",
        ],
        "reasoning": Refused("drops what was thought in messages[1]"),
    },
    # A turn ends where the next one's role is named, and that is where serving stops.
    "glm4moe": {
        "turns": [
            "[gMASK]<sop><|user|>\none?<|assistant|>",
            "\n<think></think>\neins<|user|>",
            "\ntwo?<|assistant|>\n<think></think>\nzwo<|user|>\nthree?<|assistant|>",
            "\n<think></think>\ndrei",
        ],
        "system": [
            "[gMASK]<sop><|system|>\nBe brief<|user|>\none?<|assistant|>",
            "\n<think></think>\neins",
        ],
        "tools": [GLM_TOOLS, GLM_CALL, GLM_FOUND, "\n<think></think>\ngrey"],
        "tools, call of weight 0": [GLM_TOOLS + GLM_CALL + GLM_FOUND, "\n<think></think>\ngrey"],
        "reasoning": ["[gMASK]<sop><|user|>\n2+2?<|assistant|>", "\n<think>two,\nfour</think>\n4"],
    },
}


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("family", FAMILIES)
def test_token_by_token(tiny: Path, family: str, row: str) -> None:
    theirs, ours = of_family(tiny, family)
    chat, expected = to_chat(1, ROWS[row]), EXPECTED[family][row]
    if isinstance(expected, Refused):
        with pytest.raises(ValueError, match=re.escape(expected)):
            ours.tokenize(chat)
        return
    ids: list[int] = []
    labels: list[int] = []
    for i, text in enumerate(expected):
        piece = theirs(text.replace("{today}", f"{datetime.now():%d %b %Y}"), add_special_tokens=False)["input_ids"]
        ids += piece
        labels += piece if i % 2 else [IGNORED] * len(piece)
    tokens = ours.tokenize(chat)
    assert tokens.input_ids == ids
    assert tokens.labels == labels
    assert ids == theirs.apply_chat_template(as_dicts(chat.messages), tools=chat.tools)["input_ids"]
