"""The asyncio client: the same surface, and what differs by nature."""

import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from tunesmith import AsyncTunesmith, FileRejectedError, NotFoundError, Tunesmith

from tests.sdk.conftest import Answer, Script
from tests.sdk.test_download import BYTES, artifacts
from tests.sdk.test_transport import JOB, REFUSAL
from tests.sdk.test_waiting import FILE


def surface(thing: Any, path: str = "") -> dict[str, list[str]]:
    """Every public method below a client, with the names of its parameters."""
    found: dict[str, list[str]] = {}
    for name, value in inspect.getmembers(thing):
        if name.startswith("_"):
            continue
        if inspect.ismethod(value):
            found[f"{path}{name}"] = [*inspect.signature(value).parameters]
        elif type(value).__module__.startswith("tunesmith."):
            found |= surface(value, f"{path}{name}.")
    return found


def test_the_twins_have_the_same_surface() -> None:
    sync = surface(Tunesmith(api_key="tsk-1"))
    twin = surface(AsyncTunesmith(api_key="tsk-1"))
    twin["close"] = twin.pop("aclose")
    assert twin == sync
    assert {"fine_tuning.jobs.events.stream", "uploads.parts.create", "ops.workers", "load_peft"} <= set(sync)


@pytest.fixture
def twin(client: Tunesmith) -> AsyncTunesmith:
    return AsyncTunesmith(base_url=client.base_url, api_key="tsk-secret")


def test_lists_waits_and_errors(script: Script, twin: AsyncTunesmith) -> None:
    def page(*ids: str, more: bool) -> Answer:
        return Answer(body={"object": "list", "data": [{**JOB, "id": i} for i in ids], "has_more": more})

    async def use() -> None:
        async with twin:
            script.say(page("a", "b", more=True), page("c", more=False))
            assert [job.id async for job in twin.fine_tuning.jobs.list(limit=2)] == ["a", "b", "c"]
            script.say(page("a", "b", more=True))
            first = await twin.fine_tuning.jobs.list(limit=2)
            assert ([job.id for job in first.data], first.has_more) == (["a", "b"], True)
            script.say(Answer(503), Answer(body=JOB), Answer(body={**JOB, "status": "succeeded"}))
            assert (await twin.fine_tuning.jobs.wait("ftjob-1")).ended
            script.say(Answer(body={**FILE, "status": "error", "status_details": "line 1: no JSON"}))
            with pytest.raises(FileRejectedError, match="line 1"):
                await twin.files.wait_for_processing("file-1")
            script.say(Answer(404, REFUSAL, {"x-request-id": "req_1"}))
            with pytest.raises(NotFoundError) as caught:
                await twin.models.delete("m")
            assert caught.value.request_id == "req_1"

    asyncio.run(use())


def test_downloads_go_on_where_they_broke_off(script: Script, twin: AsyncTunesmith, tmp_path: Path) -> None:
    rest = Answer(206, BYTES[100:], {"content-range": f"bytes 100-{len(BYTES) - 1}/{len(BYTES)}"})
    script.say(artifacts(script, "a.bin"), Answer(body=BYTES[:100], cut=True), rest)

    async def use() -> list[Path]:
        async with twin:
            return await twin.fine_tuning.jobs.artifacts.download("ftjob-1", tmp_path)

    (path,) = asyncio.run(use())
    assert path.read_bytes() == BYTES
    assert "tsk-secret" not in str(script.received[1:])
