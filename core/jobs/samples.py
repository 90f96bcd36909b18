"""What a job's model made of validation rows before and after: one file, a row a line."""

from pathlib import Path
from typing import Any

import msgspec

from core.paging import Page, unknown_cursor

FILE = "samples.jsonl"  # the artifact


def page(path: Path, *, after: str | None, limit: int) -> Page[dict[str, Any]]:
    """Samples in their order, each with the number of its line as its `id`; no others are held.

    Raises:
        InvalidRequest: the file has no sample `after`.
    """
    rows, reached = list[dict[str, Any]](), after is None
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if reached:
                rows.append({"id": str(number), **msgspec.json.decode(line)})
            if len(rows) > limit:
                break
            reached = reached or str(number) == after
    if not reached:
        raise unknown_cursor(str(after))
    return Page(rows[:limit], has_more=len(rows) > limit)
