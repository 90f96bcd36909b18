"""Rows of more tokens than a model may see."""

from collections.abc import Sequence
from dataclasses import replace

from core.rows.tokens import IGNORED, Tokenized


def fitted(tokens: Tokenized, *, limit: int, long_rows: str) -> Tokenized | None:
    """The row as it is trained; None where it is left out: dropped, or cut off before anything that is learnt.

    Raises:
        ValueError: it is longer than `limit`, and `long_rows` calls that an error.
    """
    if len(tokens.input_ids) <= limit:
        return tokens
    if long_rows == "error":
        raise ValueError(f"has {len(tokens.input_ids)} tokens, but max_length is {limit}")
    labels = tokens.labels[:limit]
    if long_rows == "drop" or _nothing_to_learn(labels):
        return None
    return replace(tokens, input_ids=tokens.input_ids[:limit], labels=labels)


def _nothing_to_learn(labels: Sequence[int]) -> bool:
    return all(label == IGNORED for label in labels)
