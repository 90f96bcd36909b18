"""From messages to tokens and labels, by the model's own chat template.

What carries loss is what the model has to write when it is served: everything behind the generation prompt, up to and
with the end-of-turn token that the template puts behind the content. Nothing else does.
"""

from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from core.rows.chat import Message

IGNORED = -100  # the label that the loss leaves out


@dataclass(frozen=True)
class Tokenized:
    """input_ids, labels: [tokens]; labels are the ids themselves or IGNORED."""

    input_ids: list[int]
    labels: list[int]


def tokenize(tokenizer: Any, messages: list[Message]) -> Tokenized:
    """Tokens of a whole chat.

    Raises:
        ValueError: the template refuses the chat, or leaves out a message that is to be learnt.
    """
    chat = as_dicts(messages)
    try:
        text = render(tokenizer, chat)
        spans = [_span(tokenizer, chat, i, text) for i, message in enumerate(messages) if message.trained]
    except TemplateError as error:
        raise ValueError(f"the model's chat template refuses this chat: {error}") from None
    tokens = _whole(tokenizer, text, spans) or _in_pieces(tokenizer, text, spans)
    if all(label == IGNORED for label in tokens.labels):
        raise ValueError("the model's chat template leaves no token to learn from")
    return tokens


def as_dicts(messages: list[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def render(tokenizer: Any, chat: list[dict[str, str]], *, prompt: bool = False) -> str:
    """The chat as text, with the header of the next assistant message where `prompt`."""
    return tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=prompt)


def _end_of_turn(tokenizer: Any, text: str, content_end: int) -> int:
    """Behind the special token that follows the content, or the content's own end where none follows directly."""
    rest = text[content_end:]
    blank = len(rest) - len(rest.lstrip())
    found = [len(token) for token in special_tokens(tokenizer) if rest.startswith(token, blank)]
    return content_end + blank + max(found) if found else content_end


def special_tokens(tokenizer: Any) -> set[str]:
    """All that the tokenizer takes for special, whether it has a role of its own or was added."""
    added = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    return {token for token in added | set(tokenizer.all_special_tokens) if token}


def _span(tokenizer: Any, chat: list[dict[str, str]], i: int, text: str) -> tuple[int, int]:
    """[start, end) in characters of what the model has to write for message i.

    The content's place is where the text changes when another content takes its place: this holds for every template,
    also for one that trims contents or renders the last turn differently from earlier ones.
    """
    content = chat[i]["content"]
    other = next(mark for mark in map(chr, range(0xE000, 0xF8FF)) if mark not in text)
    changed = render(tokenizer, [*chat[:i], {**chat[i], "content": other}, *chat[i + 1 :]])
    start = next((k for k, (a, b) in enumerate(zip(text, changed, strict=False)) if a != b), len(text))
    tail = len(changed) - changed.index(other) - 1 if other in changed else 0
    end = len(text) - tail
    if other not in changed or not text[start:end].strip() or text[start:end].strip() not in content:
        raise ValueError(f"the model's chat template leaves out or rewrites messages[{i}]")
    header = render(tokenizer, chat[:i], prompt=True) if i else ""
    if i and len(header) <= start and text.startswith(header):
        start = len(header)
    return start, _end_of_turn(tokenizer, text, end)


def _whole(tokenizer: Any, text: str, spans: list[tuple[int, int]]) -> Tokenized | None:
    """The text in one go; None where a token reaches across the start of a span, which serving would never produce."""
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
    labels = [IGNORED] * len(ids)
    for start, end in spans:
        first = next((k for k, (left, right) in enumerate(offsets) if right > start and right > left), len(ids))
        header = tokenizer(text[:start], add_special_tokens=False)["input_ids"]
        if header != ids[: len(header)] or len(header) != first:
            return None
        for k in range(first, len(ids)):
            if offsets[k][0] >= end:
                break
            labels[k] = ids[k]
    return Tokenized(ids, labels)


def _in_pieces(tokenizer: Any, text: str, spans: list[tuple[int, int]]) -> Tokenized:
    """The text cut where spans start and end, so that no token lies across; a prompt's tokens are those of serving."""
    ids: list[int] = []
    labels: list[int] = []
    at = 0
    for start, end in [*spans, (len(text), len(text))]:
        for piece, trained in ((text[at:start], False), (text[start:end], True)):
            tokens = tokenizer(piece, add_special_tokens=False)["input_ids"] if piece else []
            ids += tokens
            labels += tokens if trained else [IGNORED] * len(tokens)
        at = end
    return Tokenized(ids, labels)
