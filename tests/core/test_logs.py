"""Lines of log: what they are about, in two forms, and no secret in either."""

import contextvars
import json
import logging
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from core.access import keys
from core.logs import JsonLines, TextLines, bind, bound, cleaner
from core.settings import Settings

SECRETS = {
    "database_url": "postgresql+psycopg://tunesmith:pass%2Fword-1@db:5432/tunesmith",
    "redis_url": "redis://:broker-secret@broker:6379/0",
    "s3_secret_access_key": "store-secret",
    "wandb_api_key": "wandb-secret",
}


@pytest.fixture
def record() -> Callable[..., logging.LogRecord]:
    def make(message: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
        told: Any = (type(error), error, error.__traceback__) if error else None
        return logging.LogRecord("worker.training", logging.WARNING, __file__, 1, message, values, told)

    return make


def test_a_line_says_what_it_is_about(record: Callable[..., logging.LogRecord]) -> None:
    text, line = TextLines(str), JsonLines(str)
    with bound(job="ftjob-1", attempt=7):
        with bound(file="file-1"):
            inner = json.loads(line.format(record("step %d", 3)))
        outer = json.loads(line.format(record("done")))
        assert text.format(record("done")).endswith(" WARNING worker.training: done job=ftjob-1 attempt=7")
    assert {"level": "WARNING", "logger": "worker.training", "message": "step 3"}.items() <= inner.items()
    assert (inner["job"], inner["attempt"], inner["file"]) == ("ftjob-1", 7, "file-1")
    assert "file" not in outer
    assert "job" not in json.loads(line.format(record("idle")))


def test_two_threads_at_once_are_about_different_things(record: Callable[..., logging.LogRecord]) -> None:
    together, lines = threading.Barrier(2), list[dict[str, Any]]()

    def work(job: str) -> None:
        bind(job=job)
        together.wait(10)
        lines.append(json.loads(JsonLines(str).format(record(job))))

    threads = [threading.Thread(target=contextvars.Context().run, args=(work, job)) for job in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {(line["message"], line["job"]) for line in lines} == {("a", "a"), ("b", "b")}


def test_an_object_a_line_tracebacks_inside(record: Callable[..., logging.LogRecord]) -> None:
    try:
        raise ValueError("two\nlines")
    except ValueError as error:
        line = JsonLines(str).format(record("failed", error=error))
    assert "\n" not in line
    assert "ValueError: two\nlines" in json.loads(line)["exception"]


@pytest.mark.parametrize("form", [TextLines, JsonLines])
def test_no_secret_is_in_a_line_wherever_it_comes_from(
    record: Callable[..., logging.LogRecord], form: type[TextLines] | type[JsonLines]
) -> None:
    line = form(cleaner(Settings.model_validate(SECRETS)))
    key = keys.generate(keys.PROJECT_PREFIX)
    hidden = ["pass/word-1", "pass%2Fword-1", "broker-secret", "store-secret", "wandb-secret", key, "whsec_abc+/="]
    for secret in hidden:
        try:
            raise RuntimeError(f"refused: {secret}")
        except RuntimeError as error:
            with bound(job=secret):
                written = line.format(record("with %s", secret, error=error))
        assert secret not in written, written
        assert written.count("[secret]") >= 3
    assert "signed=1&X-Amz-Signature=[secret]" in line.format(record("signed=1&X-Amz-Signature=0a1b"))
    assert sys.executable in line.format(record("as it is: %s", sys.executable))
