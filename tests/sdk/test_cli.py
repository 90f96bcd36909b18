"""Settings from a file, waiting, and the command line's exit statuses."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tunesmith import Tunesmith
from tunesmith._sync import polling
from tunesmith.env import load_env, parse_env
from tunesmith.errors import APIConnectionError, ConfigurationError, FileRejectedError, JobFailedError, WaitTimeout
from tunesmith.text import printable

from tests.sdk.conftest import Answer, Script
from tests.sdk.test_transport import JOB, REFUSAL

FILE = {"id": "file-1", "bytes": 1, "created_at": 1, "filename": "a.jsonl", "purpose": "fine-tune"}


def test_env_files() -> None:
    text = "# a comment\n\nA=1\nexport B = 'two words'\nC=\"x=y\"\n"
    assert parse_env(text) == {"A": "1", "B": "two words", "C": "x=y"}
    with pytest.raises(ConfigurationError) as caught:
        parse_env("A=1\ntsk-secret\n")
    assert str(caught.value) == "line 2 is no KEY=value"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNESMITH_BASE_URL", "http://kept")
    monkeypatch.setenv("TUNESMITH_API_KEY", "")
    monkeypatch.delenv("TUNESMITH_API_KEY")
    (tmp_path / "env").write_text("TUNESMITH_BASE_URL=http://other\nTUNESMITH_API_KEY=tsk-1\n")
    load_env(tmp_path / "env")
    load_env(tmp_path / "missing")
    assert (os.environ["TUNESMITH_BASE_URL"], os.environ["TUNESMITH_API_KEY"]) == ("http://kept", "tsk-1")


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


def cli(script: Script, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    settings = {"TUNESMITH_BASE_URL": f"{script.url}/v1", "TUNESMITH_API_KEY": "tsk-secret", **env}
    command = [sys.executable, "-m", "tunesmith", *arguments]
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TUNESMITH_")}
    return subprocess.run(command, env={**clean, **settings}, capture_output=True, text=True, timeout=60, check=False)


def test_exit_statuses(script: Script) -> None:
    script.say(Answer(body=JOB))
    shown = cli(script, "--format", "json", "jobs", "show", "ftjob-1")
    assert (shown.returncode, '"id": "ftjob-1"' in shown.stdout) == (0, True)
    script.say(Answer(400, REFUSAL))
    refused = cli(script, "jobs", "cancel", "ftjob-1")
    assert (refused.returncode, "no such model" in refused.stderr, "Traceback" in refused.stderr) == (1, True, False)
    assert cli(script, "jobs", "frobnicate").returncode == 2
    assert cli(script, "jobs", "create", "--model", "m", "--training-file", "f", "--method", "{").returncode == 2
    gone = cli(script, "models", "list", TUNESMITH_BASE_URL="http://127.0.0.1:1/v1")
    assert (gone.returncode, "does not answer" in gone.stderr) == (3, True)
    assert cli(script, "models", "list", TUNESMITH_API_KEY="").returncode == 1


def test_a_job_that_fails_while_it_is_watched(script: Script) -> None:
    failed = {**JOB, "status": "failed", "error": {"message": "line 3: too long"}, "finished_at": int(time.time())}
    none = {"object": "list", "data": [], "has_more": False}
    script.say(Answer(body=failed), Answer(body=none))
    watched = cli(script, "jobs", "wait", "ftjob-1")
    assert (watched.returncode, "line 3: too long" in watched.stderr) == (1, True)


def test_what_a_server_says_does_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\tc\n") == "a\N{REPLACEMENT CHARACTER}[2Jb\tc\n"
