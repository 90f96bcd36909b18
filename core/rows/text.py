"""Documents, the rows of pre-training: texts that are learnt whole."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from typing import Any, ClassVar

from core.rows.chat import Chat
from core.rows.error import EmptyAnswer, RowError
from core.rows.values import text_of

TEXT_KEY = "text"
# A line of a plain text that ends a document, as corpora have it (Eldan, Li, 2023, arXiv 2305.07759, and others).
END_OF_DOCUMENT = "<|endoftext|>"
PIECE = 64 * 1024  # bytes of a plain text that are read at once, and about the size of its rows


@dataclass(frozen=True)
class Text:
    """A document, or a piece of one, which begins in an earlier piece, or ends in a later one, where not here."""

    sides: ClassVar[tuple[str | None, ...]] = (None,)

    text: str
    begins: bool = True
    ends: bool = True

    @property
    def chats(self) -> tuple[Chat, ...]:
        return ()


def to_text(number: int, row: dict[str, Any]) -> Text:
    """The document of a row; what other keys hold is not read: corpora have many.

    Raises:
        RowError: it has no text.
    """
    text = text_of(number, row[TEXT_KEY], TEXT_KEY)
    if not text.strip():
        raise EmptyAnswer(number, TEXT_KEY, "is empty: there is nothing to learn")
    return Text(text)


def pieces(path: str | PathLike[str]) -> Iterator[tuple[int, Text]]:
    """(line that it begins on, piece) of the documents of a plain text in UTF-8.

    A piece ends behind a line, unless one is longer than a piece; a document ends with the file, or before a line
    that says no more than END_OF_DOCUMENT. White space before a document is not read.

    Raises:
        RowError: the bytes are not UTF-8; reading cannot go on behind it.
    """
    document = _Document()
    with open(path, "rb") as file:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        number, begun = 1, ""
        while part := file.read(PIECE):
            begun += _decoded(decoder, part, number)
            lines = begun.split("\n")
            begun = lines.pop()
            yield from document.add(number, lines)
            number += len(lines)
            if len(begun) > PIECE:
                yield from document.piece(number, begun)
                begun = ""
        begun += _decoded(decoder, b"", number, final=True)
        yield from document.add(number, [begun], last=True)


class _Document:
    """The document that is being read: pieces are held back by one, since only the next line tells whether it ends."""

    def __init__(self) -> None:
        self._held: tuple[int, str] | None = None
        self._begins = True

    def add(self, number: int, lines: list[str], *, last: bool = False) -> Iterator[tuple[int, Text]]:
        """Takes whole lines; `last`: the file ends with them, without a newline."""
        start = 0
        for k, line in enumerate(lines):
            if line.strip() == END_OF_DOCUMENT:
                yield from self._extend(number + start, "".join(f"{line}\n" for line in lines[start:k]))
                yield from self._end()
                start = k + 1
        rest = "\n".join(lines[start:]) if last else "".join(f"{line}\n" for line in lines[start:])
        yield from self._extend(number + start, rest)
        if last:
            yield from self._end()

    def piece(self, number: int, text: str) -> Iterator[tuple[int, Text]]:
        """Takes the beginning of a line that is longer than a piece."""
        yield from self._extend(number, text)

    def _extend(self, number: int, text: str) -> Iterator[tuple[int, Text]]:
        if self._held is None:
            if begun := text.lstrip():
                self._held = number, begun
            return
        held_number, held = self._held
        if len(held) + len(text) <= PIECE:
            self._held = held_number, held + text
        else:
            yield held_number, Text(held, begins=self._begins, ends=False)
            self._held, self._begins = (number, text), False

    def _end(self) -> Iterator[tuple[int, Text]]:
        if self._held is not None:
            number, text = self._held
            begins, self._held, self._begins = self._begins, None, True
            yield number, Text(text, begins=begins)


def _decoded(decoder: codecs.IncrementalDecoder, part: bytes, number: int, *, final: bool = False) -> str:
    try:
        text = decoder.decode(part, final)
    except UnicodeDecodeError:
        raise RowError(number, "", "not valid UTF-8 on this line or soon behind it") from None
    if "\0" in text:
        raise RowError(number, "", "holds binary data (a NUL) on this line or soon behind it")
    return text
