"""What a job's model made of validation rows before and after: one file, a row a line."""

from pathlib import Path
from typing import Any

import msgspec

from core.paging import Page, unknown_cursor

FILE = "samples.jsonl"  # the artifact
MOST_BYTES = 2**22  # of a page's lines, of which one may be as long as that; a page has one at least


def page(path: Path, *, after: str | None, limit: int) -> Page[dict[str, Any]]:
    """Samples in their order, each with the number of its line as its `id`, up to `limit` or MOST_BYTES; no others are
    held.

    Raises:
        InvalidRequest: the file has no sample `after`.
    """
    rows, held, reached = list[dict[str, Any]](), 0, after is None
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if reached:
                held += len(line)
                if len(rows) == limit or (rows and held > MOST_BYTES):
                    return Page(rows, has_more=True)
                rows.append({"id": str(number), **msgspec.json.decode(line)})
            reached = reached or str(number) == after
    if not reached:
        raise unknown_cursor(str(after))
    return Page(rows, has_more=False)
