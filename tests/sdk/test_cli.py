"""The command line: what it says, to people and to programs, and its exit statuses."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tunesmith.text import printable

from tests.sdk.conftest import Answer, Received, Script
from tests.sdk.test_transport import JOB, REFUSAL

NONE: dict[str, Any] = {"object": "list", "data": [], "has_more": False}


def cli(script: Script, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    settings = {"TUNESMITH_BASE_URL": f"{script.url}/v1", "TUNESMITH_API_KEY": "tsk-secret", **env}
    given = {key: value for key, value in {**os.environ, **settings}.items() if value}
    command = [sys.executable, "-m", "tunesmith", *arguments]
    # Not here: a stack that somebody has started in this folder would be found by its .tunesmith/env.
    return subprocess.run(command, env=given, cwd="/", capture_output=True, text=True, timeout=60, check=False)


def test_help_imports_neither_the_client_nor_its_libraries() -> None:
    code = """
import sys
from tunesmith.cli import main
sys.argv = ["tunesmith", *sys.argv[1:]]
try:
    main()
finally:
    print(sorted({"httpx", "pydantic", "rich", "yaml", "msgspec"} & set(sys.modules)), file=sys.stderr)
"""
    for arguments in (["--help"], ["jobs", "create", "--help"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=True
        )
        assert (done.stdout[:16], done.stderr) == ("Usage: tunesmith", "[]\n")


@pytest.mark.parametrize(("status", "exit_status"), [(400, 6), (401, 4), (403, 4), (404, 5), (429, 7), (503, 8)])
def test_a_refusal_is_a_line_and_an_exit_status(script: Script, status: int, exit_status: int) -> None:
    script.say(Answer(status, REFUSAL, {"x-should-retry": "false", "x-request-id": "req_1"}))
    done = cli(script, "jobs", "cancel", "ftjob-1")
    assert done.returncode == exit_status
    assert done.stderr == f"tunesmith: no such model (HTTP {status}, request req_1)\n"


def test_other_exit_statuses(script: Script, tmp_path: Path) -> None:
    assert cli(script, "jobs", "frobnicate").returncode == 2
    assert cli(script, "jobs", "create", "--model", "m", "--training-file", "f", "--method", "{").returncode == 2
    gone = cli(script, "models", "list", TUNESMITH_BASE_URL="http://127.0.0.1:1/v1")
    assert (gone.returncode, "does not answer" in gone.stderr) == (3, True)
    keyless = cli(script, "models", "list", TUNESMITH_API_KEY="")
    assert (keyless.returncode, "tunesmith login" in keyless.stderr) == (4, True)
    script.say(Answer(body=NONE))
    assert cli(script, "jobs", "download", "ftjob-1", str(tmp_path)).returncode == 1


def test_tables_for_people_and_json_for_programs(script: Script) -> None:
    name = "ft:model:org:" + "x" * 200
    script.say(Answer(body={**NONE, "data": [{**JOB, "fine_tuned_model": name}]}))
    table = cli(script, "jobs", "list").stdout.splitlines()
    assert len(table) == 2
    assert table[1].split() == ["ftjob-1", "queued", "m", name]
    for arguments in (("--format", "json", "jobs", "list"), ("jobs", "list", "--format=json")):
        (job,) = json.loads(cli(script, *arguments).stdout)
        assert job["fine_tuned_model"] == name


def test_a_preview_in_a_pipe_breaks_no_line(script: Script) -> None:
    tokens = [{"id": n, "text": f"token-{n} ", "state": "trained"} for n in range(2000)]
    text = "".join(token["text"] for token in tokens)
    row = {"row": 1, "text": text, "tokens": tokens, "trained_tokens": 2000, "total_tokens": 2000}
    script.say(Answer(body={**NONE, "data": [row]}))
    shown = cli(script, "files", "preview", "file-1", "--model", "m").stdout.splitlines()
    assert shown[:2] == ["row 1: 2000 of 2000 tokens trained", text]


def test_people_read_local_times_and_what_is_nested_in_a_line(script: Script) -> None:
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2}, "lora": None}}
    script.say(Answer(body={**JOB, "created_at": 1700000000, "method": method, "result_files": ["file-1", "file-2"]}))
    lines = dict(
        line.split(maxsplit=1) for line in cli(script, "jobs", "show", "ftjob-1", TZ="UTC-2").stdout.splitlines()
    )
    assert lines["created_at"] == "2023-11-15T00:13:20+02:00"
    assert lines["method"] == "type=supervised supervised.hyperparameters.n_epochs=2"
    assert lines["result_files"] == "file-1, file-2"
    assert json.loads(cli(script, "--format", "json", "jobs", "show", "ftjob-1").stdout)["created_at"] == 1700000000
    attempts = [
        {"attempt": 3, "job_id": "ftjob-1", "seconds": 2.5},
        {"attempt": 4, "job_id": "ftjob-2", "seconds": 1.0},
    ]
    worker = {"id": "train@a", "queue": "train", "alive": True, "slots": 1, "devices": [0, 1], "attempts": attempts}
    script.say(Answer(body={**NONE, "data": [worker]}))
    table = cli(script, "ops", "workers").stdout
    assert "0, 1" in table
    assert "attempt=3 job_id=ftjob-1 seconds=2.5; attempt=4 job_id=ftjob-2 seconds=1.0" in table


def test_a_spec_file_options_that_win_and_files_beside_it(script: Script, tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    spec = tmp_path / "spec.yaml"
    spec.write_text("model: from-file\nseed: 1\ntraining_file: rows.jsonl\nmetadata: {team: x}\n")
    file = {"id": "file-9", "bytes": 1, "created_at": 1, "filename": "rows.jsonl", "purpose": "fine-tune"}
    script.say(Answer(body={**file, "status": "uploaded"}), Answer(body=JOB))
    done = cli(script, "jobs", "create", "--file", str(spec), "--model", "mine", "--metadata", "run=2")
    assert done.returncode == 0, done.stderr
    assert json.loads(script.received[-1].body) == {
        "model": "mine",
        "seed": 1,
        "training_file": "file-9",
        "metadata": {"team": "x", "run": "2"},
    }
    spec.write_text("- not\n- a mapping\n")
    assert cli(script, "jobs", "create", "--file", str(spec)).returncode == 2


def test_a_dry_run_shows_the_estimate_and_creates_nothing(script: Script) -> None:
    warning = {"code": "few_rows", "message": "12 rows are few for 3 epochs", "param": "method"}
    estimate = {
        "object": "fine_tuning.job.estimate",
        "tokens": {"total": 12000, "trained": 4000},
        "rows": {"total": 12, "too_long": 1, "examples": [{"row": 4}]},
        "steps": 30,
        "time": {"seconds": None},
        "compute": {"parameters": 1000, "tokens": 12000, "flops": 72000000},
        "warnings": [warning],
    }
    script.say(Answer(body=estimate))
    done = cli(script, "jobs", "create", "--model", "m", "--training-file", "file-1", "--dry-run")
    assert [request.path for request in script.received] == ["/v1/fine_tuning/jobs/estimate"]
    lines = ("steps       30", "tokens      total: 12,000", "time        seconds: not known yet")
    for line in (*lines, "compute     parameters: 1,000", "            flops: 72,000,000"):
        assert line in done.stdout.splitlines()
    assert "12 rows are few for 3 epochs (method)" in done.stdout


def test_a_job_that_fails_while_it_is_watched(script: Script) -> None:
    failed = {**JOB, "status": "failed", "error": {"message": "line 3: too long"}, "finished_at": int(time.time())}

    def respond(request: Received) -> Answer:
        return Answer(body=NONE if "events" in request.path else failed)

    script.respond = respond
    watched = cli(script, "--format", "json", "jobs", "watch", "ftjob-1")
    assert (watched.returncode, "line 3: too long" in watched.stderr) == (9, True)
    assert json.loads(watched.stdout)["status"] == "failed"


def test_a_job_that_was_watched_ends_with_the_name_of_its_model(script: Script) -> None:
    done = {**JOB, "status": "succeeded", "fine_tuned_model": "ft:m:team::abc", "finished_at": int(time.time())}

    def respond(request: Received) -> Answer:
        return Answer(body=NONE if "events" in request.path else done)

    script.respond = respond
    create = ("jobs", "create", "--model", "m", "--training-file", "file-1", "--wait")
    assert cli(script, *create).stdout.splitlines()[-1] == "model ft:m:team::abc"
    assert json.loads(cli(script, "--format", "json", *create).stdout)["fine_tuned_model"] == "ft:m:team::abc"


def test_a_job_on_an_unusable_file_tells_its_faults_once(script: Script) -> None:
    fault = "training_file: file file-1 can't be used: line 3: too long"
    failed = {**JOB, "status": "failed", "status_reason": fault, "error": {"code": "invalid_file", "message": fault}}
    event = {"id": "e1", "created_at": 1, "level": "error", "message": fault, "seq": 1}

    def respond(request: Received) -> Answer:
        return Answer(body={**NONE, "data": [event]} if "events" in request.path else failed)

    script.respond = respond
    create = ("jobs", "create", "--model", "m", "--training-file", "file-1")
    assert cli(script, *create).stdout.count(fault) == 1
    assert cli(script, *create, "--watch").stdout.count(fault) == 1
    assert json.loads(cli(script, "--format", "json", *create).stdout)["status_reason"] == fault


def test_logs_are_followed(script: Script) -> None:
    piece = {"id": "1", "seq": 1, "attempt": 1, "created_at": 1, "text": "loading weights\n"}

    def respond(request: Received) -> Answer:
        return Answer(body={**NONE, "data": [piece]} if "logs" in request.path else {**JOB, "status": "succeeded"})

    script.respond = respond
    assert cli(script, "jobs", "logs", "-f", "ftjob-1").stdout == "loading weights\n"


def test_events_are_followed_from_the_latest_few_on(script: Script) -> None:
    events = [{"id": f"e{n}", "created_at": 1, "level": "info", "message": f"m{n}", "seq": n} for n in range(1, 6)]

    def respond(request: Received) -> Answer:
        if "stream=true" not in request.path:
            return Answer(body={**NONE, "data": events[:-2:-1]})
        behind = events[int(request.headers.get("last-event-id", 0)) :]
        frames = [f"id: {event['seq']}\nevent: message\ndata: {json.dumps(event)}\n\n" for event in behind]
        return Answer(body="".join([*frames, "event: end\ndata: {}\n\n"]).encode())

    script.respond = respond

    def followed(*options: str) -> list[str]:
        return cli(script, "jobs", "events", "--follow", *options, "ftjob-1").stdout.split()[2::3]

    assert followed("--limit", "2") == ["m4", "m5"]
    assert followed() == ["m1", "m2", "m3", "m4", "m5"]


def test_a_file_is_checked_by_the_servers_rules_and_sent_nowhere(script: Script, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n{"prompt": "a"}\n')
    done = cli(script, "files", "check", str(path))
    assert done.returncode == 9
    assert done.stdout == "line 2: completion: a string is needed, not nothing\n"
    found = json.loads(cli(script, "--format", "json", "files", "check", str(path)).stdout)
    assert (found["rows"], found["fault_count"], found["faults"][0]["line"]) == (2, 1, 2)
    path.write_text('{"prompt": "a", "completion": "b"}\n')
    assert cli(script, "files", "check", str(path)).returncode == 0
    assert script.received == []


def test_completion_scripts(script: Script) -> None:
    for shell in ("zsh", "fish"):  # bash's asks the installed bash for its version
        assert "_TUNESMITH_COMPLETE" in cli(script, "completion", shell).stdout
    typed = {"_TUNESMITH_COMPLETE": "zsh_complete", "COMP_WORDS": "tunesmith jobs wa", "COMP_CWORD": "2"}
    assert {"wait", "watch"} <= set(cli(script, **typed).stdout.split())


def test_what_a_server_says_does_not_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\tc\n") == "a\N{REPLACEMENT CHARACTER}[2Jb\tc\n"
