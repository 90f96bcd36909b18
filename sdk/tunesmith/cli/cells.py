"""Values as people read them, in tables and lines."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, cast

# Unix seconds, as is every field whose name ends in `_at`.
TIMES = ("created", "estimated_finish", "last_seen")


def cell(name: str, value: Any) -> str:
    """The value of the field of that name: times are local, what is nested is `path=value`; empty for none."""
    if value is None:
        return ""
    if isinstance(value, dict):
        return " ".join(f"{path}={text}" for path, text in _flat(cast("dict[str, Any]", value)))
    if isinstance(value, list):
        items = cast("list[Any]", value)
        return ("; " if any(isinstance(item, dict) for item in items) else ", ").join(cell(name, i) for i in items)
    if isinstance(value, int) and (name in TIMES or name.endswith("_at")):
        return datetime.fromtimestamp(value).astimezone().isoformat(timespec="seconds")
    return str(value)


def _flat(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """(path, text) of every value that is there."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _flat(cast("dict[str, Any]", value), f"{above}{key}.")
        elif text := cell(key, value):
            yield f"{above}{key}", text
