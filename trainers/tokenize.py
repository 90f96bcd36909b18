"""From messages to tokens and labels, by the model's own chat template.

The template is rendered for growing prefixes of the chat; what an assistant's message adds behind the generation prompt
is what the model will have to write, up to and with its end-of-turn token. Only that carries loss.
"""

from dataclasses import dataclass
from typing import Any

from core.rows.chat import Message

IGNORED = -100  # the label that the loss leaves out


@dataclass(frozen=True)
class Tokenized:
    """input_ids, labels: [tokens], labels are the ids themselves or IGNORED."""

    input_ids: list[int]
    labels: list[int]


def tokenize(tokenizer: Any, messages: list[Message]) -> Tokenized:
    """Tokens of a whole chat.

    Raises:
        ValueError: the template rewrites earlier turns, so that what was trained would not be what is served.
    """
    chat = as_dicts(messages)
    text = render(tokenizer, chat)
    spans = [_trained_span(tokenizer, chat, i, text) for i, message in enumerate(messages) if message.trained]
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    labels = [
        token if any(start <= left and right <= end for start, end in spans) and right > left else IGNORED
        for token, (left, right) in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True)
    ]
    return Tokenized(encoded["input_ids"], labels)


def as_dicts(messages: list[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def render(tokenizer: Any, chat: list[dict[str, str]], *, prompt: bool = False) -> str:
    """The chat as text, with the header of the next assistant message where `prompt`."""
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt)


def _trained_span(tokenizer: Any, chat: list[dict[str, str]], i: int, text: str) -> tuple[int, int]:
    """[start, end) in characters of what the model has to write for message i."""
    so_far, prompt = render(tokenizer, chat[: i + 1]), render(tokenizer, chat[:i], prompt=True)
    if not text.startswith(so_far):
        raise ValueError(f"the chat template rewrites message {i} when others follow; train it as a row of its own")
    content = chat[i]["content"].strip()
    start = len(prompt) if so_far.startswith(prompt) else so_far.rindex(content)
    content_end = so_far.index(content, start) + len(content)
    return start, _end_of_turn(tokenizer, so_far, content_end)


def _end_of_turn(tokenizer: Any, text: str, content_end: int) -> int:
    """Behind the first special token that follows the content; the content's own end where none does."""
    found = [
        (at, at + len(token)) for token in tokenizer.all_special_tokens if (at := text.find(token, content_end)) >= 0
    ]
    return min(found)[1] if found else content_end
