"""What somebody sees who watches a job or waits for it, and what Ctrl-C does."""

import asyncio
import io
import os
import pty
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console
from tunesmith import AsyncTunesmith, Tunesmith
from tunesmith.chart import curves
from tunesmith.types import Series

from tests.sdk.conftest import Answer, Received, Script
from tests.sdk.test_transport import JOB

RUNNING = {"status": "running", "total_steps": 40, "seconds_left": 75}
STATES = (
    {"queue_position": 3, "status_reason": "waits for a GPU"},
    {"queue_position": 1, "status_reason": "waits for a GPU"},
    {**RUNNING, "step": 10},
    {**RUNNING, "status": "succeeded", "step": 40, "seconds_left": None},
)
EVENTS: tuple[dict[str, Any], ...] = (
    {"level": "info", "message": "created"},
    {"level": "warn", "message": "few \x1b[2Jrows"},
    {"level": "info", "message": "", "type": "metrics", "data": {"step": 10, "train_loss": 1.25, "valid_loss": None}},
    {"level": "info", "message": "", "type": "metrics", "data": {"step": 40, "train_mean_token_accuracy": 0.5}},
)


class Course:
    """A job that is in the next of its states at each look, with one more event each time."""

    def __init__(self, script: Script) -> None:
        self.looks = 0
        script.respond = self.respond

    def respond(self, request: Received) -> Answer:
        if "/events" in request.path:
            shown = [
                {"id": f"e{seq}", "created_at": 1, "seq": seq, **event}
                for seq, event in enumerate(EVENTS[: self.looks], start=1)
            ]
            return Answer(body={"object": "list", "data": shown[::-1], "has_more": False})
        if "/metrics" in request.path:
            series = {"train_loss": {"steps": [0, 10, 20], "values": [2.0, None, 1.0]}}
            return Answer(body={"object": "fine_tuning.job.metrics", "job_id": "ftjob-1", "series": series})
        self.looks += 1
        return Answer(body={**JOB, **STATES[min(self.looks, len(STATES)) - 1]})


def test_plain_lines_where_there_is_no_terminal(script: Script, client: Tunesmith) -> None:
    Course(script)
    out = io.StringIO()
    client.fine_tuning.jobs.watch("ftjob-1", console=Console(file=out, width=100), curve=True)
    assert out.getvalue().splitlines() == [
        "queued (number 3 in the queue): waits for a GPU",
        "queued (number 1 in the queue): waits for a GPU",
        "warn: few \N{REPLACEMENT CHARACTER}[2Jrows",
        "running",
        "step 10/40  loss 1.250  1:15 left",
        "succeeded",
        "step 40/40  loss 1.250  token accuracy 0.500",
    ]


def test_a_bar_and_a_curve_on_a_terminal(script: Script, client: Tunesmith) -> None:
    Course(script)
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    client.fine_tuning.jobs.watch("ftjob-1", console=console, curve=True)
    shown = out.getvalue()
    assert "step 40/40" in shown
    assert "━" in shown
    assert "step 0–20" in shown
    metrics = [request.path for request in script.received if "/metrics" in request.path]
    assert metrics[0].endswith("/metrics?max_points=200")


def test_a_cancelled_task_says_the_same(script: Script, client: Tunesmith, monkeypatch: pytest.MonkeyPatch) -> None:
    Course(script)
    out = io.StringIO()

    async def watch() -> None:
        reached = asyncio.Event()

        async def sleep(seconds: float) -> None:
            reached.set()
            await asyncio.Event().wait()

        monkeypatch.setattr("tunesmith._async.waiting.sleep", sleep)
        async with AsyncTunesmith(base_url=client.base_url, api_key="tsk-1") as twin:
            task = asyncio.create_task(twin.fine_tuning.jobs.watch("ftjob-1", console=Console(file=out)))
            await reached.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(watch())
    assert "tunesmith jobs watch ftjob-1" in out.getvalue()


WAIT = """
import asyncio, sys
from tunesmith import AsyncTunesmith, Tunesmith
from tunesmith._async import polling as async_polling
from tunesmith._sync import polling

async_polling.INTERVAL = polling.INTERVAL = 0
kind, arguments = sys.argv[1], eval(sys.argv[2])
client = {"sync": Tunesmith, "async": AsyncTunesmith}[kind](api_key="tsk-1")
job = client.fine_tuning.jobs.wait("ftjob-1", **arguments)
job = asyncio.run(job) if kind == "async" else job
print("then", job.status)
"""


def wait_on_a_terminal(script: Script, kind: str, arguments: str) -> str:
    """What a program that waits for the job shows on a terminal."""
    Course(script)
    ours, its = pty.openpty()
    env = {**os.environ, "TUNESMITH_BASE_URL": f"{script.url}/v1", "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", WAIT, kind, arguments], env=env, stdout=its)
    os.close(its)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # so Linux says that a terminal's other end is closed
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return shown.decode()


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_waiting_shows_a_bar_on_a_terminal(script: Script, kind: str) -> None:
    shown = wait_on_a_terminal(script, kind, "{}")
    assert "queued (number 3 in the queue): waits for a GPU" in shown
    assert "step 40/40" in shown
    assert "━" in shown
    assert "then succeeded" in shown


@pytest.mark.parametrize("arguments", ["{'progress': False}", "{'on_update': lambda job: None}"])
def test_waiting_shows_nothing_where_it_is_not_wanted(script: Script, arguments: str) -> None:
    assert wait_on_a_terminal(script, "sync", arguments) == "then succeeded\r\n"


def test_waiting_shows_lines_elsewhere_where_they_are_asked_for(
    script: Script, client: Tunesmith, capsys: pytest.CaptureFixture[str]
) -> None:
    Course(script)
    client.fine_tuning.jobs.wait("ftjob-1")
    assert capsys.readouterr().out == ""
    Course(script)
    client.fine_tuning.jobs.wait("ftjob-1", progress=True)
    assert capsys.readouterr().out.splitlines()[0] == "queued (number 3 in the queue): waits for a GPU"


@pytest.mark.parametrize("way", ["watch", "wait"])
def test_ctrl_c_leaves_the_job_running_and_says_how_to_go_on(
    script: Script,
    client: Tunesmith,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    way: str,
) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    Course(script)
    monkeypatch.setattr("tunesmith._sync.waiting.sleep", interrupt)
    jobs = client.fine_tuning.jobs
    with pytest.raises(KeyboardInterrupt):
        jobs.watch("ftjob-1") if way == "watch" else jobs.wait("ftjob-1", progress=True)
    assert "tunesmith jobs watch ftjob-1" in capsys.readouterr().out
    assert {request.method for request in script.received} == {"GET"}


def test_a_curve_that_falls_goes_from_the_upper_left_to_the_lower_right() -> None:
    falling = Series(steps=[*range(100)], values=[100.0 - step for step in range(100)])
    *rows, scale = curves({"train_loss": falling}, width=30, height=4).plain.splitlines()
    assert [row[:10].strip() for row in rows] == ["100", "", "", "1"]
    begins = [next(i for i, c in enumerate(row[10:]) if c > "\N{BRAILLE PATTERN BLANK}") for row in rows]
    assert begins == sorted(set(begins))
    assert begins[0] == 0
    assert "step 0–99" in scale
    assert curves({"x": Series(steps=[1], values=[float("nan")])}, width=30, height=4).plain == "no figures yet"
    assert curves({"x": Series(steps=[1], values=[2.0])}, width=30, height=4).plain.count("⡀") == 1
