"""The SDK and its command line against the whole stack."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from transformers import AutoTokenizer
from tunesmith import BadRequestError, FileRejectedError, NotFoundError, Tunesmith, samples

from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case
from tests.stack import Stack

METHOD: dict[str, Any] = {
    "type": "supervised",
    "supervised": {"hyperparameters": {"n_epochs": 1}, "samples": {"rows": 3, "max_tokens": 8}},
}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with the files that the examples name."""
    (tmp_path / "train.jsonl").write_bytes(upper_case(30, seed=0))
    (tmp_path / "grader.yaml").write_text(
        "{type: math, name: m, input: '{{sample.output_text}}', reference: '{{item.x}}'}"
    )
    (tmp_path / "row.json").write_text('{"x": "0.5"}')
    return tmp_path


# peft asks transformers for a property that transformers has renamed.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_from_upload_to_samples(stack: Stack, project: ProjectKey, tmp_path: Path) -> None:
    train, valid = tmp_path / "train.jsonl", tmp_path / "valid.jsonl"
    train.write_bytes(upper_case(30, seed=0))
    valid.write_bytes(upper_case(5, seed=1))
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        uploaded = [client.files.create(file=path).id for path in (train, valid)]
        assert client.files.wait_for_processing(uploaded[0]).rows == 30
        assert client.files.content(uploaded[0]) == train.read_bytes()
        assert client.files.download(uploaded[1], tmp_path / "copy").read_bytes() == valid.read_bytes()
        job = client.fine_tuning.jobs.create(
            model="tiny-random-llama", training_file=uploaded[0], validation_file=uploaded[1], method=METHOD
        )
        console = Console(record=True, width=200)
        job = client.fine_tuning.jobs.watch(job.id, console=console)
        assert job.status == "succeeded"
        shown = console.export_text()
        assert f"step {job.total_steps}/{job.total_steps}" in shown
        assert "loss" in shown
        assert "token accuracy" in shown
        assert client.fine_tuning.jobs.wait(job.id).fine_tuned_model == job.fine_tuned_model
        assert [model.job_id for model in client.models.list() if model.id == job.fine_tuned_model] == [job.id]
        seqs = [event.seq for event in client.fine_tuning.jobs.events.list(job.id, limit=3)]
        assert seqs == list(range(len(seqs), 0, -1))
        artifacts = client.fine_tuning.jobs.artifacts
        artifacts.download(job.id, tmp_path / "out")
        last = next(iter(client.fine_tuning.jobs.checkpoints.list(job.id))).step_number
        artifacts.download(job.id, tmp_path / "last", step=last)
        weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("out", "last")]
        assert weights[0] == weights[1]
        with pytest.raises(NotFoundError, match="no checkpoint after step 77"):
            list(artifacts.list(job.id, step=77))
        base = stack.prepared("tiny-random-llama")
        assert job.fine_tuned_model is not None
        tuned = client.load_peft(job.fine_tuned_model, base=base, folder=tmp_path / "adapter")
        assert AutoTokenizer.from_pretrained(tmp_path / "adapter").chat_template
        weights = {name: tensor for name, tensor in tuned.named_parameters() if "lora_B" in name}
        assert weights
        assert all(tensor.abs().sum() > 0 for tensor in weights.values())  # what was trained, not what begins as zero
        assert len(samples.load(tmp_path / "out" / "samples.jsonl")) == 3

        with pytest.raises(NotFoundError):
            client.fine_tuning.jobs.retrieve("ftjob-unknown")
        with pytest.raises(BadRequestError) as refused:
            client.fine_tuning.jobs.create(model="tiny-random-llama", training_file=uploaded[0], n_epoch=3)
        assert refused.value.param == "n_epoch"
        (tmp_path / "bad.jsonl").write_text('{"prompt": "a"}\n')
        bad = client.files.create(file=tmp_path / "bad.jsonl")
        with pytest.raises(FileRejectedError, match="line 1: completion"):
            client.files.wait_for_processing(bad.id)


def test_the_command_line(stack: Stack, project: ProjectKey, tmp_path: Path) -> None:
    (tmp_path / "env").write_text(f"TUNESMITH_BASE_URL={stack.url}/v1\nTUNESMITH_API_KEY={project.key}\n")
    clean = {key: value for key, value in os.environ.items() if not key.startswith("TUNESMITH_")}

    def cli(*arguments: str) -> str:
        command = [sys.executable, "-m", "tunesmith", "--env-file", "env", "--format", "json", *arguments]
        done = subprocess.run(command, env=clean, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout

    (tmp_path / "train.jsonl").write_bytes(upper_case(30, seed=0))
    (tmp_path / "valid.jsonl").write_bytes(upper_case(4, seed=1))
    files = ("--training-file", "train.jsonl", "--validation-file", "valid.jsonl")
    spec = ("--model", "tiny-random-llama", *files, "--method", json.dumps(METHOD))
    made = json.loads(cli("jobs", "create", *spec))
    watch = [sys.executable, "-m", "tunesmith", "--env-file", "env", "jobs", "watch", made["id"]]
    terminal = clean | {"FORCE_COLOR": "1", "TERM": "xterm"}  # as if it were one
    watched = subprocess.run(watch, env=terminal, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True)
    assert "train_loss" in watched.stdout
    assert "succeeded" in watched.stdout
    (job,) = json.loads(cli("jobs", "list"))
    assert job["status"] == "succeeded"
    assert json.loads(cli("jobs", "events", job["id"]))[0]["seq"] == 1
    assert json.loads(cli("jobs", "checkpoints", job["id"]))
    cli("jobs", "download", job["id"], "adapter")
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size > 0
    cli("models", "show", job["fine_tuned_model"])
    cli("files", "delete", job["training_file"])
    assert [file for file in json.loads(cli("files", "list")) if file["id"] == job["training_file"]] == []


def test_the_examples_of_the_client(stack: Stack, project: ProjectKey, work: Path, repository_root: Path) -> None:
    page = (repository_root / "docs" / "sdk.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 6
    env = {**os.environ, "TUNESMITH_BASE_URL": f"{stack.url}/v1", "TUNESMITH_API_KEY": project.key}
    command = [sys.executable, "-c", "\n".join(blocks)]
    done = subprocess.run(command, env=env, cwd=work, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (work / "adapter" / "adapter_model.safetensors").stat().st_size > 0


def test_the_examples_of_the_command_line(stack: Stack, project: ProjectKey, work: Path, repository_root: Path) -> None:
    page = (repository_root / "docs" / "cli.md").read_text()
    lines = re.findall(r"^ *\$ (.*tunesmith .*)$", page, re.MULTILINE)
    assert len(lines) >= 10
    env = {**os.environ, "TUNESMITH_BASE_URL": f"{stack.url}/v1", "TUNESMITH_API_KEY": project.key}
    # The command as an installation would have it, for this Python.
    script = f'tunesmith() {{ "{sys.executable}" -m tunesmith "$@"; }}\n' + "\n".join(lines)
    command = ["bash", "-euo", "pipefail", "-c", script]
    done = subprocess.run(command, env=env, cwd=work, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (work / "adapter" / "adapter_model.safetensors").stat().st_size > 0
