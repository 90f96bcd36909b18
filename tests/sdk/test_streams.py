"""Events as they happen: parsed, resumed behind the last one, ended by the server's word."""

import asyncio
import json

import pytest
from tunesmith import APIConnectionError, AsyncTunesmith, NotFoundError, Tunesmith
from tunesmith.sse import Decoder, Frame

from tests.sdk.conftest import Answer, Received, Script
from tests.sdk.test_transport import JOB, REFUSAL

END = 'event: end\ndata: {"status": "succeeded"}\n\n'


def frame(seq: int) -> str:
    event = {"id": f"ftevent-{seq}", "created_at": 1, "level": "info", "message": f"step {seq}", "seq": seq}
    return f"id: {seq}\nevent: message\ndata: {json.dumps(event)}\n\n"


def frames(text: str) -> list[Frame]:
    decoder = Decoder()
    return [frame for line in text.splitlines() if (frame := decoder.line(line)) is not None]


def test_frames() -> None:
    assert frames(": keep-alive\n\nid: 7\nevent: metrics\ndata: {\ndata:  }\n\ndata:x\n\n") == [
        Frame("metrics", "{\n }", "7"),
        Frame("message", "x"),
    ]
    assert frames("data: cut off") == []


def test_a_broken_stream_goes_on_behind_the_last_event(script: Script, client: Tunesmith) -> None:
    script.say(
        Answer(body=(frame(1) + frame(2)[:20]).encode(), cut=True),
        Answer(503),
        Answer(body=(": keep-alive\n\n" + frame(2)).encode()),  # closed without a word
        Answer(body=(frame(3) + END).encode()),
    )
    assert [event.seq for event in client.fine_tuning.jobs.events.stream("ftjob-1")] == [1, 2, 3]
    asked = [request.headers.get("last-event-id") for request in script.received]
    assert asked == [None, "1", "1", "2"]
    assert script.received[0].path == "/v1/fine_tuning/jobs/ftjob-1/events?stream=true"


def test_a_stream_that_never_gets_anywhere_is_given_up(script: Script, client: Tunesmith) -> None:
    script.say(Answer(body=b": keep-alive\n\n"))
    with pytest.raises(APIConnectionError, match="keep breaking off"):
        next(iter(client.fine_tuning.jobs.events.stream("ftjob-1")))
    script.say(Answer(404, REFUSAL))
    with pytest.raises(NotFoundError):
        next(iter(client.fine_tuning.jobs.events.stream("ftjob-1")))


def test_the_async_stream(script: Script, client: Tunesmith) -> None:
    script.say(Answer(body=frame(1).encode(), cut=True), Answer(body=(frame(2) + END).encode()))

    async def seqs() -> list[int]:
        async with AsyncTunesmith(base_url=client.base_url, api_key="tsk-1") as twin:
            return [event.seq async for event in twin.fine_tuning.jobs.events.stream("ftjob-1", after=0)]

    assert asyncio.run(seqs()) == [1, 2]


def test_logs_are_followed_until_the_job_has_ended_and_its_last_words_are_read(
    script: Script, client: Tunesmith
) -> None:
    def piece(seq: int) -> dict[str, object]:
        return {"id": str(seq), "seq": seq, "attempt": 1, "created_at": 1, "text": f"line {seq}\n"}

    states = iter(["running", "running", "succeeded"])
    pieces = iter([[piece(1)], [], [piece(2)]])

    def respond(request: Received) -> Answer:
        if "/logs" in request.path:
            return Answer(body={"object": "list", "data": next(pieces), "has_more": False})
        return Answer(body={**JOB, "status": next(states)})

    script.respond = respond
    assert [line.text for line in client.fine_tuning.jobs.logs.follow("ftjob-1")] == ["line 1\n", "line 2\n"]
    assert [request.path.partition("?")[2] for request in script.received if "/logs" in request.path] == [
        "",
        "after=1",
        "after=1",
    ]
