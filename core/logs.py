"""Lines of log: text or JSON, saying what they are about, and without secrets.

What a line is about (job, attempt, file, worker, request_id) is bound once, where it becomes known, and stands in every
line that the same thread or task writes from there on.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from core.settings import Settings

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
HIDDEN = "[secret]"
SHORTEST = 4  # characters; hiding a shorter password would tell where it stands
# API keys, secrets of webhooks, and what lets anybody in who has it: bearer headers, signatures of links.
MARKS = ("tsk-", "tso-", "whsec_", "Bearer ", "X-Amz-Signature=")
FORMS = r"\bts[ko]-[0-9A-Za-z]{36}|\bwhsec_[\w+/=-]+|(?<=Bearer )\S+|(?<=X-Amz-Signature=)\w+"

_process: dict[str, object] = {}
_about: ContextVar[Mapping[str, object]] = ContextVar("about", default=MappingProxyType({}))


def configure(settings: Settings, *, level: int = logging.INFO) -> None:
    """Write this process's lines to standard error, warnings too. Where somebody has set up logging, that stays."""
    if logging.getLogger().handlers:
        return
    clean = cleaner(settings)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines(clean) if settings.log_format == "json" else TextLines(clean))
    logging.basicConfig(level=level, handlers=[handler])
    logging.captureWarnings(True)
    # The server's own lines take the same form; api.request_id writes the one for each request.
    for name, propagate in (("uvicorn", True), ("uvicorn.access", False)):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = propagate


def bind_process(**fields: object) -> None:
    """Say in every line of this process, of all threads, what it is about."""
    _process.update(fields)


def bind(**fields: object) -> None:
    """Say so from here on, for as long as this thread or task lives."""
    _about.set({**_about.get(), **fields})


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Say so in the lines of this block."""
    before = _about.set({**_about.get(), **fields})
    try:
        yield
    finally:
        _about.reset(before)


def about() -> dict[str, object]:
    """What a line that is written here and now is about."""
    return {**_process, **_about.get()}


def cleaner(settings: Settings) -> Callable[[str], str]:
    """Hides the secrets of these settings, and whatever has the form of one."""
    values = [value for _, value in settings]
    secrets = [value.get_secret_value() for value in values if isinstance(value, SecretStr)]
    urls = (settings.database_url, settings.redis_url.get_secret_value())
    passwords = [password for url in urls if (password := urlsplit(url).password)]
    known = {*secrets, *passwords, *map(unquote, passwords)}
    # The longest first: a URL holds its password.
    words = [word for word in sorted(known, key=len, reverse=True) if len(word) >= SHORTEST]
    pattern = re.compile("|".join([*map(re.escape, words), FORMS]))
    marks = (*words, *MARKS)  # almost no line has one, and looking for them costs next to nothing
    return lambda text: pattern.sub(HIDDEN, text) if any(mark in text for mark in marks) else text


class TextLines(logging.Formatter):
    """For people: what the line is about follows the message."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        super().__init__(TEXT)
        self._clean = clean

    def formatMessage(self, record: logging.LogRecord) -> str:
        return super().formatMessage(record) + "".join(f" {name}={value}" for name, value in about().items())

    def format(self, record: logging.LogRecord) -> str:
        return self._clean(super().format(record))


class JsonLines(logging.Formatter):
    """For programs: an object a line, tracebacks inside of it."""

    def __init__(self, clean: Callable[[str], str]) -> None:
        super().__init__()
        self._clean = clean

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **about(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        cleaned = {name: self._clean(value) if isinstance(value, str) else value for name, value in line.items()}
        return json.dumps(cleaned, ensure_ascii=False, default=str)
