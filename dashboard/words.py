"""Figures, times and errors as people read them."""

from datetime import UTC, datetime, tzinfo
from http.cookies import SimpleCookie
from urllib.parse import unquote
from zoneinfo import ZoneInfo

from tunesmith import APIConnectionError, APIStatusError

NONE = "–"


def number(value: float | int | None, digits: int = 3) -> str:
    """`digits` that matter, thousands apart."""
    if value is None:
        return NONE
    if isinstance(value, int) or (float(value).is_integer() and abs(value) < 1e15):
        return f"{int(value):,}".replace(",", "\u202f")
    return f"{value:.{digits}g}"


def size(count: float | None) -> str:
    if count is None:
        return NONE
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float | None) -> str:
    """The two units that matter: `2 d 3 h`, `4 min 5 s`."""
    if seconds is None:
        return NONE
    left = max(0, round(seconds))
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count} {unit}")
        elif parts:
            break
    return " ".join(parts[:2])


def share(part: float | None, whole: float | None) -> float | None:
    """Between 0 and 1."""
    return None if not whole or part is None else min(1.0, max(0.0, part / whole))


def percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"


def moment(seconds: float | None, zone: tzinfo = UTC) -> str:
    """A time of the reader's zone."""
    if seconds is None:
        return NONE
    return datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d %H:%M:%S")


def ago(seconds: float | None, *, now: float) -> str:
    return NONE if seconds is None else f"{duration(now - seconds)} ago"


def zone_of(cookie: str | None) -> tzinfo:
    """The reader's zone, as the browser has put it into a cookie."""
    try:
        return ZoneInfo(unquote(SimpleCookie(cookie or "")["zone"].value))
    except Exception:  # whatever a cookie may hold
        return UTC


def clipped(text: object, most: int = 200) -> str:
    """On one line, and not longer than that."""
    line = " ".join(str(text).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def error_words(error: Exception) -> str:
    """What went wrong, with the id under which the API's log has it."""
    if isinstance(error, APIStatusError):
        request = f" (request {error.request_id})" if error.request_id else ""
        return f"{clipped(error.message, 600)}{request}"
    if isinstance(error, APIConnectionError):
        return "The API does not answer."
    return clipped(error, 600)
