"""What the page of a spec gives to run makes the same job again, on the real API."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tunesmith import BadRequestError, Tunesmith

from dashboard.draft import of_job
from dashboard.job_code import as_curl, as_openai, as_tunesmith
from tests.conftest import ProjectKey
from tests.stack import Stack

ODD = "it's \"q\" $HOME `id` $(id) \\ \\n \n%s {0} ''' ключ 🎉 " + "a b" * 60
NOTHING = {"type": "initialization", "initialization": {"sizes": {"layers": 1}, "tokenizer": {"type": "characters"}}}
# Nothing is auto: what a trainer makes of that would be another body, if it were quick.
HYPERPARAMETERS = {"batch_size": 2, "learning_rate_multiplier": 0.5}
SUPERVISED = {"lora": {"r": 4, "dora": True}, "max_steps": 1, "hyperparameters": HYPERPARAMETERS}


@pytest.fixture
def client(stack: Stack, project: ProjectKey, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tunesmith]:
    monkeypatch.setenv("TUNESMITH_BASE_URL", f"{stack.url}/v1")
    monkeypatch.setenv("TUNESMITH_API_KEY", project.key)
    with Tunesmith() as client:
        yield client


def run_python(text: str) -> None:
    names: dict[str, Any] = {}
    exec(compile(text, "copied.py", "exec"), names)
    names["client"].close()


def run_shell(text: str) -> None:
    subprocess.run(["sh", "-ec", text], check=True, capture_output=True)


@pytest.mark.parametrize(("write", "run"), [(as_openai, run_python), (as_tunesmith, run_python), (as_curl, run_shell)])
def test_it_makes_the_same_job_again(
    client: Tunesmith,
    project: ProjectKey,
    tmp_path: Path,
    write: Callable[[dict[str, Any]], str],
    run: Callable[[str], None],
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prompt": "a", "completion": "b"}\n')
    usual = {"training_file": client.files.create(file=rows).id, "seed": 1, "metadata": {"odd": ODD}}
    trained = {"model": "tiny-random-llama", "max_duration_seconds": 3600, "suffix": "again"}
    method = {"type": "supervised", "supervised": SUPERVISED}
    for body in ({**usual, **trained, "method": method}, {**usual, "method": NOTHING}):
        job = client.fine_tuning.jobs.create(body)
        assert of_job(job) == body
        text = write(of_job(job))
        assert project.key not in text
        run(text)
        again = client.fine_tuning.jobs.list(limit=1).data[0]
        assert again.id != job.id
        assert of_job(again) == of_job(job)
        with suppress(BadRequestError):  # it may have ended by itself
            client.fine_tuning.jobs.cancel(again.id)
