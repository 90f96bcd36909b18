"""Rows of a file that has passed validation, whichever format it has: what trainers and estimates read."""

from collections.abc import Iterator
from os import PathLike

from core.rows.chat import Chat, parse_chat
from core.rows.jsonl import iterate


def chats(path: str | PathLike[str]) -> Iterator[tuple[int, Chat]]:
    """(row number, chat) of every row, in the file's order.

    Raises:
        RowError: a row is no chat.
    """
    for number, line in iterate(path):
        yield number, parse_chat(number, line)
