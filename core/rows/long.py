"""Rows of more tokens than a model may see."""

from collections.abc import Sequence
from dataclasses import replace

from core.rows.tokens import IGNORED, Tokenized


def fitted(chats: list[Tokenized], *, limit: int, long_rows: str) -> list[Tokenized] | None:
    """The chats of a row as they are trained, the very list where all fit.

    None where the row is left out: dropped, a chat of it cut off before anything that is learnt, or two before they
    differ, so that there is nothing to prefer.

    Raises:
        ValueError: one is longer than `limit`, and `long_rows` calls that an error.
    """
    longest = max(len(chat.input_ids) for chat in chats)
    if longest <= limit:
        return chats
    if long_rows == "error":
        raise ValueError(f"has {longest} tokens, but max_length is {limit}")
    cut = [replace(chat, input_ids=chat.input_ids[:limit], labels=chat.labels[:limit]) for chat in chats]
    distinct = {tuple(chat.input_ids) for chat in cut}
    if long_rows == "drop" or len(distinct) < len(cut) or any(_nothing_to_learn(chat.labels) for chat in cut):
        return None
    return cut


def _nothing_to_learn(labels: Sequence[int]) -> bool:
    return all(label == IGNORED for label in labels)
