"""Rows of a file as a model reads them, token by token."""

from itertools import islice
from pathlib import Path

from core.estimate.task import Previewed, PreviewRow, PreviewTask, PreviewToken
from core.rows import read
from core.rows.kinds import Row
from core.rows.prompt import Prompt
from core.rows.text import Text
from core.rows.tokens import IGNORED, ChatTokenizer, Tokenized

MOST_TOKENS = 8192  # that one row shows; its totals count all


def preview(task: PreviewTask) -> Previewed:
    """Rows [offset, offset + limit) of a file.

    Raises:
        ValueError: the model's card or a row can't be read.
    """
    tokenizer = ChatTokenizer.load(Path(task.card))
    content = read.prompts(task.file) if task.prompts else read.rows(task.file)
    rows = list(islice(content, task.offset, task.offset + task.limit + 1))
    shown = [
        _row(tokenizer, number, part, side=side, max_length=task.max_length)
        for number, row in rows[: task.limit]
        for side, part in zip(row.sides, _parts(row), strict=True)
    ]
    return Previewed(rows=shown, has_more=len(rows) > task.limit)


def _parts(row: Row) -> tuple[Row, ...]:
    return (row,) if isinstance(row, Text | Prompt) else row.chats


def _row(tokenizer: ChatTokenizer, number: int, part: Row, *, side: str | None, max_length: int) -> PreviewRow:
    try:
        (tokens,) = tokenizer.tokenize_row(part, offsets=True)
    except ValueError as error:
        reason = str(error)[:500]
        return PreviewRow(
            row=number, side=side, text="", tokens=[], trained_tokens=0, total_tokens=0, truncated=False, error=reason
        )
    total = len(tokens.input_ids)
    if isinstance(part, Text):  # documents fill sequences, whatever their length
        max_length = total
    shown = min(total, MOST_TOKENS)
    return PreviewRow(
        row=number,
        side=side,
        text=tokens.text[: tokens.offsets[shown - 1][1]] if shown < total else tokens.text,
        tokens=[_token(tokenizer, tokens, k, max_length) for k in range(shown)],
        trained_tokens=total - tokens.labels.count(IGNORED),
        total_tokens=total,
        truncated=total > max_length,
    )


def _token(tokenizer: ChatTokenizer, tokens: Tokenized, k: int, max_length: int) -> PreviewToken:
    start, end = tokens.offsets[k]
    state = "truncated" if k >= max_length else "masked" if tokens.labels[k] == IGNORED else "trained"
    return PreviewToken(id=tokens.input_ids[k], text=tokens.text[start:end], state=state)
