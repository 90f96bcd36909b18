"""Completions before and after training, greedily decoded: what people look at first."""

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from core.rows.chat import THINKING, Chat, Message
from core.rows.prompt import Prompt
from core.rows.template import as_dicts
from core.rows.tokens import IGNORED, ChatTokenizer
from core.specs.training import Samples
from trainers.prompts import Prompts
from trainers.rows import Rows

BATCH = 16  # prompts that are decoded together
# Tokens of the answers, with their prompts, whose keys and values are in memory at a time, where a model is to learn
# from its answers.
SAMPLED_TOGETHER = 2**16
OPENING = 8  # tokens at the end of a prompt that may hold THINKING[0]


def write_samples(
    path: Path,
    model: Any,
    tokenizer: Any,
    chats: ChatTokenizer,
    rows: Rows,
    *,
    options: Samples,
    as_before: AbstractContextManager[None],
) -> None:
    """Write one line a row, of the first of its chats: `{row, prompt, expected, before, after}`.

    Args:
        as_before: makes the model what the job started from, of which `before` comes.
    """
    first = [row.chats[0] for row in rows.content]
    cuts = [cut_answer(chat) for chat in first]
    texts = [chats.template.render(as_dicts(cut.messages), tools=cut.tools, prompt=True) for cut, _ in cuts]
    prompts = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    ends = ends_of_turn(model, tokenizer, chats, first[0])
    after = complete(model, tokenizer, prompts, ends=ends, max_tokens=options.max_tokens)
    with as_before:
        before = complete(model, tokenizer, prompts, ends=ends, max_tokens=options.max_tokens)
    with path.open("w", encoding="utf-8") as file:
        for i, (cut, expected) in enumerate(cuts):
            line = {
                "row": i,
                "prompt": as_dicts(cut.messages),
                "expected": expected,
                "before": before[i],
                "after": after[i],
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def write_answers(
    path: Path,
    model: Any,
    tokenizer: Any,
    chats: ChatTokenizer,
    prompts: Prompts,
    *,
    options: Samples,
    as_before: AbstractContextManager[None],
) -> None:
    """As `write_samples`, of prompts, to which no answer is expected: `{row, prompt, before, after}`."""
    ends = ends_of_turn(model, tokenizer, chats, answered(prompts.content[0]))
    after = complete(model, tokenizer, prompts.tokens, ends=ends, max_tokens=options.max_tokens)
    with as_before:
        before = complete(model, tokenizer, prompts.tokens, ends=ends, max_tokens=options.max_tokens)
    with path.open("w", encoding="utf-8") as file:
        for i, prompt in enumerate(prompts.content):
            line = {"row": i, "prompt": as_dicts(prompt.messages), "before": before[i], "after": after[i]}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def answered(prompt: Prompt) -> Chat:
    """The prompt with some answer to it, which shows how the template ends one."""
    return Chat([*prompt.messages, Message("assistant", "x", trained=True)], prompt.tools)


def cut_answer(row: Chat) -> tuple[Chat, str]:
    """The prompt and the answer that belongs to it: the last one that is trained, as JSON where it calls tools."""
    last = max(i for i, message in enumerate(row.messages) if message.trained)
    answer = row.messages[last]
    expected = json.dumps(answer.tool_calls, ensure_ascii=False) if answer.tool_calls else answer.content
    return Chat(row.messages[:last], row.tools), expected


def complete(model: Any, tokenizer: Any, prompts: list[list[int]], *, ends: list[int], max_tokens: int) -> list[str]:
    """Greedy completions of the prompts, which are tokens, in their order, up to the first token of `ends`."""
    model.eval()
    how = {"ends": ends, "max_tokens": max_tokens, "together": BATCH, "do_sample": False}
    return [as_text(tokenizer, tokens, ends) for tokens in generate(model, tokenizer, prompts, **how)]


@torch.no_grad()
def generate(
    model: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    *,
    ends: list[int],
    max_tokens: int,
    together: int,
    **how: Any,
) -> list[list[int]]:
    """Tokens that the model writes behind each prompt, in their order: up to and with the first of `ends`.

    Prompts of like length share a batch of so many together, padded on the left.

    Args:
        how: further arguments of transformers' `generate`.
    """
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    found: list[list[int]] = [[]] * len(prompts)
    for at in range(0, len(order), together):
        batch = order[at : at + together]
        width = max(len(prompts[i]) for i in batch)
        input_ids = torch.tensor([[tokenizer.pad_token_id] * (width - len(prompts[i])) + prompts[i] for i in batch])
        mask = torch.tensor([[0] * (width - len(prompts[i])) + [1] * len(prompts[i]) for i in batch])
        output = model.generate(
            input_ids=input_ids.to(model.device),
            attention_mask=mask.to(model.device),
            max_new_tokens=max_tokens,
            use_cache=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=ends,
            **how,
        )
        for i, tokens in zip(batch, output[:, width:].tolist(), strict=True):
            end = next((k for k, token in enumerate(tokens, 1) if token in ends), len(tokens))
            found[i] = tokens[:end]
    return found


def as_text(tokenizer: Any, tokens: list[int], ends: list[int]) -> str:
    """What an answer says, without the token that ended it."""
    said = tokens[:-1] if tokens[-1] in ends else tokens
    return tokenizer.decode(said, skip_special_tokens=True).strip()


def as_read(tokenizer: Any, prompt: list[int], tokens: list[int], ends: list[int]) -> str:
    """As a reader sees it: `as_text`, with the think block that the prompt has opened."""
    text = as_text(tokenizer, tokens, ends)
    opened = tokenizer.decode(prompt[-OPENING:]).rstrip().endswith(THINKING[0])
    return f"{THINKING[0]}\n{text}" if opened else text


def ends_of_turn(model: Any, tokenizer: Any, chats: ChatTokenizer, row: Chat) -> list[int]:
    """Whatever ends a turn, by the tokenizer, by the model's generation config, and by what was trained."""
    configured = model.generation_config.eos_token_id
    ends = {tokenizer.eos_token_id, *(configured if isinstance(configured, list) else [configured])}
    last = next(label for label in reversed(chats.tokenize(row).labels) if label != IGNORED)
    if chats.token(last) in chats.special:
        ends.add(last)
    return sorted(end for end in ends if end is not None)
