# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/events.py: change it there.
"""What happened to a job."""

import json
import time
from collections.abc import Iterator
from typing import Any, Literal

from tunesmith._sync import waiting
from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.answers import given, parse, segment
from tunesmith.errors import APIConnectionError, InternalServerError, UnexpectedAnswer
from tunesmith.retries import backoff
from tunesmith.sse import Decoder, Frame
from tunesmith.types import Event

RECONNECTIONS = 8  # in a row, without an event between them
LASTING_SECONDS = 10.0  # a connection that has lasted that long was none of those that get nowhere


class Events(Resource):
    """`client.fine_tuning.jobs.events`: what happened to a job.

    ```python
    for event in client.fine_tuning.jobs.events.list(job.id):
        print(event.created_at, event.level, event.message)

    for event in client.fine_tuning.jobs.events.stream(job.id):  # as they happen, until the job has ended
        print(event.seq, event.message)
    ```
    """

    def list(
        self,
        job_id: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        type: Literal["message", "metrics"] | None = None,
    ) -> Page[Event]:
        """What happened, newest first; of one type alone, or of both."""
        return self._pages(Event, _path(job_id), given(limit=limit, after=after, type=type))

    def stream(self, job_id: str, *, after: int = 0) -> Iterator[Event]:
        """Every event behind the one whose `seq` is `after`, as it happens, oldest first, until the job has ended.

        A connection that breaks is made again and goes on behind the last event: none is missed, none comes twice.

        Raises:
            APIConnectionError, InternalServerError: the server stays away.
        """
        failures = 0
        while True:
            headers = {"accept": "text/event-stream", **({"last-event-id": str(after)} if after else {})}
            decoder, began = Decoder(), time.monotonic()
            try:
                with self._transport.stream(_path(job_id), query={"stream": "true"}, headers=headers) as response:
                    for chunk in response.iter_bytes():
                        for frame in decoder.feed(chunk):
                            if frame.event == "end":
                                return
                            event = parse(Event, _decoded(frame))
                            after, failures = event.seq, 0
                            yield event
            except (APIConnectionError, InternalServerError):
                if failures == RECONNECTIONS:
                    raise
            if time.monotonic() - began > LASTING_SECONDS:
                failures = 0
            if failures == RECONNECTIONS:
                raise APIConnectionError(f"the events of {job_id} keep breaking off")
            waiting.sleep(backoff(failures))
            failures += 1


def _decoded(frame: Frame) -> Any:
    try:
        return json.loads(frame.data)
    except ValueError:
        raise UnexpectedAnswer("an event of the stream is no JSON") from None


def _path(job_id: str) -> str:
    return f"/fine_tuning/jobs/{segment(job_id)}/events"
