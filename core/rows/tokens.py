"""From chats to tokens and labels, by the model's own chat template and tokenizer: for training, preview and estimate.

What carries loss is what the model has to write when it is served: everything behind the generation prompt, up to and
with the end-of-turn token that the template puts behind the content. Nothing else does.
"""

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from tokenizers import Encoding, Tokenizer

from core.rows.chat import THINKING, Chat
from core.rows.kinds import Row
from core.rows.prompt import Prompt
from core.rows.template import ChatTemplate, Rendered, as_dicts
from core.rows.text import END_OF_DOCUMENT, Text

IGNORED = -100  # the label that the loss leaves out
NAMED = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
MARKS = 0xE000  # where Unicode's private characters begin, and
MOST_MARKS = 6400  # how many there are
LONGEST_KEPT_SEAM = 256  # characters; most prompts end in the same few

Span = tuple[int, int]


@dataclass(frozen=True)
class Tokenized:
    """input_ids, labels: [tokens]; labels are the ids themselves or IGNORED.

    offsets: [tokens], where in `text` each token lies, [start, end) in characters, where asked for. A character of
    several tokens appears with each of them.
    """

    text: str
    input_ids: list[int]
    labels: list[int]
    offsets: list[Span]


class ChatTokenizer:
    """A model's tokenizer and chat template.

    Args:
        special: tokens that the tokenizer never splits, each of which ends what stands before it.
        end: the token that ends a document.
    """

    def __init__(
        self, tokenizer: Tokenizer, template: ChatTemplate, *, special: frozenset[str], end: str | None = None
    ) -> None:
        self.template = template
        self.special = special
        self._tokenizer = tokenizer
        self._end = END_OF_DOCUMENT if END_OF_DOCUMENT in special else end
        self._special_ids = {tokenizer.token_to_id(token) for token in special}
        self._seams = lru_cache(maxsize=1024)(self.encode)
        self._skeletons = lru_cache(maxsize=1024)(self._skeleton)

    @classmethod
    def load(cls, folder: Path) -> "ChatTokenizer":
        """Read a prepared model's folder: tokenizer.json, tokenizer_config.json and its chat template.

        Raises:
            ValueError: the template is missing or no template.
        """
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        config = json.loads((folder / "tokenizer_config.json").read_text())
        names = {name: _content(config[name]) for name in NAMED if config.get(name) is not None}
        added = {token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special}
        return cls(
            tokenizer,
            _read_template(folder, config, names),
            special=frozenset(token for token in added | set(names.values()) if token),
            end=names.get("eos_token"),
        )

    @property
    def end_of_document(self) -> int | None:
        """The token behind each document; None where the model has none."""
        return None if self._end is None else self._tokenizer.token_to_id(self._end)

    @cached_property
    def begin_of_document(self) -> list[int]:
        """What the tokenizer itself puts before a text; nothing where that ends a document too, and so is there."""
        encoded = self._tokenizer.encode("a")
        added = list(takewhile(lambda token: token[1], zip(encoded.ids, encoded.special_tokens_mask, strict=True)))
        ids = [token for token, _ in added]
        return [] if self.end_of_document in ids else ids

    @cached_property
    def _literal(self) -> Tokenizer:
        """The same tokenizer, to which no text is special."""
        literal = Tokenizer.from_str(self._tokenizer.to_str())
        literal.encode_special_tokens = True
        return literal

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without tokens that the tokenizer would add by itself."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def token(self, token_id: int) -> str | None:
        """A token as the vocabulary writes it; None for an unknown id."""
        return self._tokenizer.id_to_token(token_id)

    def tokenize_row(self, row: Row, *, offsets: bool = False) -> list[Tokenized]:
        """Tokens of what a row is read as: of each of its chats, of its text, or of what asks for an answer.

        Raises:
            ValueError: as `tokenize`.
        """
        if isinstance(row, Text):
            return [self._tokenize_text(row, offsets=offsets)]
        if isinstance(row, Prompt):
            return [self.tokenize_prompt(row, offsets=offsets)]
        return [self.tokenize(chat, offsets=offsets) for chat in row.chats]

    def _tokenize_text(self, text: Text, *, offsets: bool) -> Tokenized:
        """All of it is learnt, and behind it that the document ends there, where it does and the model can say so.

        It begins with what the tokenizer puts before a text, and nothing foretells that. Where a document names a
        special token, it says so many characters: nothing in it ends it.
        """
        encoded = self._literal.encode(text.text, add_special_tokens=False)
        ids, places = encoded.ids, encoded.offsets if offsets else []
        if text.ends and self.end_of_document is not None:
            ids.append(self.end_of_document)
            places.append((len(text.text), len(text.text)))
        begin = self.begin_of_document if text.begins else []
        labels = [IGNORED, *begin[1:]] if begin else []
        return Tokenized(text.text, begin + ids, labels + ids, [(0, 0)] * len(begin) + places if offsets else [])

    def tokenize_prompt(self, prompt: Prompt, *, offsets: bool = False) -> Tokenized:
        """Tokens up to where the model begins to answer, as it is served.

        Raises:
            ValueError: the template refuses the messages.
        """
        text = self.template.render(as_dicts(prompt.messages), tools=prompt.tools, prompt=True)
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        return Tokenized(text, encoded.ids, [IGNORED] * len(encoded.ids), encoded.offsets if offsets else [])

    def tokenize(self, chat: Chat, *, offsets: bool = False) -> Tokenized:
        """Tokens of a whole chat.

        Raises:
            ValueError: the template refuses the chat, or leaves out a message that is to be learnt.
        """
        messages = as_dicts(chat.messages)
        text = self.template.render(messages, tools=chat.tools)
        places = self._places(chat, messages, text)
        spans = [self._span(chat, messages, i, text, places) for i, m in enumerate(chat.messages) if m.trained]
        tokens = self._whole(text, spans, offsets=offsets) or self._in_pieces(text, spans)
        if all(label == IGNORED for label in tokens.labels):
            raise ValueError("the model's chat template leaves no token to learn from")
        return tokens

    def _places(self, chat: Chat, messages: list[Rendered], text: str) -> list[Span] | None:
        """Where each content lies, where the template proves to write contents as they are; else None.

        The proof: a chat of the same roles, with marks for contents, becomes this text when contents replace the marks.
        """
        if chat.tools or len(messages) > MOST_MARKS or any(len(message) > 2 for message in messages):
            return None
        pieces = self._skeletons(tuple(message["role"] for message in messages))
        if pieces is None:
            return None
        places: list[Span] = []
        at, found = 0, [pieces[0]]
        for message, piece in zip(messages, pieces[1:], strict=True):
            at += len(found[-1])
            places.append((at, at + len(message["content"])))
            at += len(message["content"])
            found += (message["content"], piece)
        return places if "".join(found) == text else None

    def _skeleton(self, roles: tuple[str, ...]) -> list[str] | None:
        """What the template writes around the contents of such a chat: one piece more than there are messages."""
        marks = [chr(MARKS + i) for i in range(len(roles))]
        try:
            rest = self.template.render(
                [{"role": role, "content": mark} for role, mark in zip(roles, marks, strict=True)]
            )
        except ValueError:
            return None
        pieces: list[str] = []
        for mark in marks:
            piece, found, rest = rest.partition(mark)
            if not found or mark in rest:
                return None
            pieces.append(piece)
        return [*pieces, rest]

    def _span(self, chat: Chat, messages: list[Rendered], i: int, text: str, places: list[Span] | None) -> Span:
        """[start, end) in characters of what the model has to write for message i."""
        header = self.template.render(messages[:i], tools=chat.tools, prompt=True) if i else ""
        if chat.messages[i].tool_calls:
            return self._span_of_calls(chat, messages, i, text, header)
        start, end = places[i] if places else self._place(chat, messages, i, text)
        if not _is_part(text[start:end], messages[i]["content"]):
            raise ValueError(f"the model's chat template leaves out or rewrites messages[{i}]")
        if i == len(messages) - 1 and THINKING[1] in messages[i]["content"] and THINKING[1] not in text[start:end]:
            raise ValueError(f"the model's chat template drops what was thought in messages[{i}]")
        if header and len(header) <= start and text.startswith(header):
            start = len(header)
        return start, self._end_of_turn(text, end)

    def _place(self, chat: Chat, messages: list[Rendered], i: int, text: str) -> Span:
        """A content's place is where the text changes when another content takes its place.

        This holds for every template, also for one that trims contents or renders the last turn differently.
        """
        other = _unused_mark(text)
        changed = self.template.render(
            [*messages[:i], {**messages[i], "content": other}, *messages[i + 1 :]], tools=chat.tools
        )
        start = _common(text, changed)
        tail = len(changed) - changed.index(other) - 1 if other in changed else len(text)
        return start, len(text) - tail

    def _span_of_calls(self, chat: Chat, messages: list[Rendered], i: int, text: str, header: str) -> Span:
        """Every template rewrites calls: they lie between the prompt that asks for them and the next turn.

        Where a template moves things about (tools to the last question, say), the chat up to here is not how the text
        begins. Then the calls' place is where the text changes when plain words take theirs.
        """
        if not self._shows_calls(chat, messages, i, text):
            raise ValueError(f"the model's chat template does not show the tool calls of messages[{i}]")
        until = self.template.render(messages[: i + 1], tools=chat.tools)
        if header and text.startswith(header) and text.startswith(until) and len(until) > len(header):
            end = len(until.rstrip())
            return len(header), end if until[:end].endswith(tuple(self.special)) else self._end_of_turn(text, end)
        other = _unused_mark(text)
        changed = self.template.render(
            [*messages[:i], {"role": "assistant", "content": other}, *messages[i + 1 :]], tools=chat.tools
        )
        start, tail = _common(text, changed), _common(text[::-1], changed[::-1])
        if other not in changed or start + tail >= len(text):
            raise ValueError(f"the model's chat template does not show the tool calls of messages[{i}]")
        return start, self._end_of_turn(text, len(text) - tail)

    def _shows_calls(self, chat: Chat, messages: list[Rendered], i: int, text: str) -> bool:
        """Whether each call of message i leaves a trace: some templates write the content alone, or the first call."""
        mark = _unused_mark(text)
        names = [f"{mark}{k}{mark}" for k in range(len(messages[i]["tool_calls"]))]
        calls = [
            {**call, "function": {**call["function"], "name": name}}
            for call, name in zip(messages[i]["tool_calls"], names, strict=True)
        ]
        renamed = self.template.render(
            [*messages[:i], {**messages[i], "tool_calls": calls}, *messages[i + 1 :]], tools=chat.tools
        )
        return all(name in renamed for name in names)

    def _end_of_turn(self, text: str, content_end: int) -> int:
        """Behind the special token that follows the content, or the content's own end where none follows directly."""
        at = content_end
        while at < len(text) and text[at].isspace():
            at += 1
        found = [len(token) for token in self.special if text.startswith(token, at)]
        return at + max(found) if found else content_end

    def _whole(self, text: str, spans: list[Span], *, offsets: bool) -> Tokenized | None:
        """The text in one go; None where a token reaches across the start of a span, as in no prompt that is served."""
        encoded = self._tokenizer.encode(text, add_special_tokens=False)
        ids = encoded.ids
        labels = [IGNORED] * len(ids)
        for start, end in spans:
            first, last = _first_token(encoded, start, text), _first_token(encoded, end, text)
            if not self._is_seam(text, encoded, ids, start=start, first=first):
                return None
            if last < len(ids) and _place_of(encoded, last)[0] < end:
                last += 1  # it begins inside of the span
            labels[first:last] = ids[first:last]
        return Tokenized(text, ids, labels, encoded.offsets if offsets else [])

    def _is_seam(self, text: str, encoded: Encoding, ids: list[int], *, start: int, first: int) -> bool:
        """Whether the tokens before `first` are those of the prompt text[:start] alone.

        A special token cuts the text before anything else looks at it, so that only what follows the last one counts.
        """
        if first < len(ids) and _place_of(encoded, first)[0] < start:
            return False
        k = first
        while k > 0:
            k -= 1
            if ids[k] in self._special_ids:
                break
        tail = text[_place_of(encoded, k)[0] if k else 0 : start]
        return (self._seams(tail) if len(tail) <= LONGEST_KEPT_SEAM else self.encode(tail)) == ids[k:first]

    def _in_pieces(self, text: str, spans: list[Span]) -> Tokenized:
        """The text cut where spans start and end: no token lies across, and a prompt's tokens are those of serving."""
        tokens = Tokenized(text, [], [], [])
        at = 0
        for start, end in [*spans, (len(text), len(text))]:
            for left, right, trained in ((at, start, False), (start, end, True)):
                piece: Encoding = self._tokenizer.encode(text[left:right], add_special_tokens=False)
                tokens.input_ids.extend(piece.ids)
                tokens.labels.extend(piece.ids if trained else [IGNORED] * len(piece.ids))
                tokens.offsets.extend((left + a, left + b) for a, b in piece.offsets)
            at = end
        return tokens


def _unused_mark(text: str) -> str:
    return next(mark for mark in map(chr, range(MARKS, MARKS + MOST_MARKS)) if mark not in text)


def _is_part(shown: str, content: str) -> bool:
    """Whether this is the content, or what a template leaves of it.

    What was thought, and what is said behind it, have blanks around them as the template wants them.
    """
    if THINKING[1] in content:
        shown, content = "".join(shown.split()), "".join(content.split())
    return bool(shown.strip()) and shown.strip() in content


def _common(a: str, b: str) -> int:
    """Characters that both begin with."""
    return next((k for k, (left, right) in enumerate(zip(a, b, strict=False)) if left != right), min(len(a), len(b)))


def _first_token(encoded: Encoding, at: int, text: str) -> int:
    """The first token with a character at or behind `at`; the number of tokens where there is none."""
    while at < len(text):
        token = encoded.char_to_token(at)
        if token is not None:
            return token
        at += 1
    return len(encoded.ids)


def _place_of(encoded: Encoding, token: int) -> Span:
    place = encoded.token_to_chars(token)
    assert place is not None
    return place


def _content(token: Any) -> str:
    """A token of tokenizer_config.json: text, or an object that holds it."""
    return str(token["content"] if isinstance(token, dict) else token)


def _read_template(folder: Path, config: dict[str, Any], names: dict[str, str]) -> ChatTemplate:
    file, for_tools = folder / "chat_template.jinja", folder / "additional_chat_templates" / "tool_use.jinja"
    source = file.read_text() if file.exists() else config.get("chat_template")
    if not isinstance(source, str):
        raise ValueError("the model's tokenizer has no chat template")
    with_tools = for_tools.read_text() if for_tools.exists() else None
    return ChatTemplate(source, special_tokens=names, with_tools=with_tools)
