"""Waiting for jobs and files, through restarts of the server."""

import pytest
from tunesmith import Tunesmith
from tunesmith._sync import polling
from tunesmith.errors import APIConnectionError, FileRejectedError, JobFailedError, WaitTimeout

from tests.sdk.conftest import Answer, Script
from tests.sdk.test_transport import JOB

FILE = {"id": "file-1", "bytes": 1, "created_at": 1, "filename": "a.jsonl", "purpose": "fine-tune"}


def test_waiting_for_a_job(script: Script, client: Tunesmith) -> None:
    script.say(Answer(body=JOB), Answer(body={**JOB, "status": "running"}), Answer(body={**JOB, "status": "succeeded"}))
    seen: list[str] = []
    client.fine_tuning.jobs.wait("ftjob-1", on_update=lambda job: seen.append(job.status))
    assert seen == ["queued", "running", "succeeded"]
    script.say(Answer(body={**JOB, "status": "failed", "error": {"message": "line 3: too long"}}))
    with pytest.raises(JobFailedError, match="job ftjob-1 failed: line 3: too long"):
        client.fine_tuning.jobs.wait("ftjob-1")
    script.say(Answer(body=JOB))
    with pytest.raises(WaitTimeout, match="did not end within 0 seconds"):
        client.fine_tuning.jobs.wait("ftjob-1", timeout=0)


def test_waiting_outlives_a_restart_of_the_server(
    script: Script, client: Tunesmith, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = [Answer(503)] * 9
    script.say(Answer(body=JOB), *away, Answer(body={**JOB, "status": "succeeded"}))
    assert client.fine_tuning.jobs.wait("ftjob-1").status == "succeeded"
    monkeypatch.setattr(polling, "PATIENCE", 0)
    with Tunesmith(base_url="http://127.0.0.1:1", api_key="tsk-1") as other, pytest.raises(APIConnectionError):
        other.fine_tuning.jobs.wait("ftjob-1")


def test_waiting_for_a_file(script: Script, client: Tunesmith) -> None:
    script.say(Answer(body={**FILE, "status": "uploaded"}), Answer(body={**FILE, "status": "processed"}))
    assert client.files.wait_for_processing("file-1").status == "processed"
    script.say(Answer(body={**FILE, "status": "error", "status_details": "line 1: no JSON"}))
    with pytest.raises(FileRejectedError, match="line 1: no JSON"):
        client.files.wait_for_processing("file-1")
