"""From random weights to preferences through the API, each stage from the model of the one before."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from tunesmith import BadRequestError, JobFailedError, Tunesmith, samples

from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case, upper_case_preferred, upper_case_texts
from tests.stack import Stack

FILES = ("corpus.txt", "chats.jsonl", "pairs.jsonl")
SIZES = {"hidden_size": 32, "layers": 2, "heads": 2, "intermediate_size": 64, "context": 256}
TRAINING: dict[str, Any] = {"max_steps": 3, "hyperparameters": {"batch_size": 2}}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_each_stage_goes_on_from_the_one_before(stack: Stack, project: ProjectKey, tmp_path: Path) -> None:
    write_files(tmp_path)
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        jobs = client.fine_tuning.jobs
        text, chats, pairs = (client.files.create(file=tmp_path / name).id for name in FILES)
        held_out = {name: client.files.create(file=tmp_path / f"valid-{name}").id for name in FILES}

        def train(type_: str, options: dict[str, Any], **fields: Any) -> Any:
            method: Any = {"type": type_, type_: options}
            job = jobs.wait(jobs.create(method=method, seed=1, **fields).id, timeout=120)
            assert job.status == "succeeded", job.error
            return job

        first = train(
            "initialization", {"sizes": SIZES, "tokenizer": {"type": "bpe", "vocab_size": 300}}, training_file=text
        )
        assert (first.model, first.base_model) == ("llama-custom", "llama-custom")
        assert first.hyperparameters["vocab_size"] == 300
        assert first.fine_tuned_model.startswith("ft:llama-custom:")
        told: Any = jobs.estimate(method=first.method, training_file=text)
        assert (told.compute["parameters"], told.steps) == (first.hyperparameters["parameters"], 0)
        report = client.files.report(text)
        assert (report.format, report.kind, report.rows) == ("txt", "text", 1)

        pretraining: Any = {"type": "pretraining", "pretraining": {**TRAINING, "max_length": 64}}
        foretold = jobs.estimate(model=first.fine_tuned_model, training_file=text, method=pretraining)
        second = train(
            "pretraining",
            pretraining["pretraining"],
            model=first.fine_tuned_model,
            training_file=text,
            validation_file=held_out["corpus.txt"],
        )
        assert foretold.steps == second.total_steps == 3
        assert foretold.compute["tokens"] == pytest.approx(3 * 2 * 64, rel=0.1)
        assert foretold.compute["flops"] == 6 * foretold.compute["parameters"] * foretold.compute["tokens"]
        assert "compute_optimal" in {warning.code for warning in foretold.warnings}
        other = train(
            "initialization", {"sizes": SIZES, "tokenizer": {"type": "bpe", "vocab_size": 259}}, training_file=text
        )
        asked = {"training_file": text, "method": pretraining}
        assert jobs.estimate(model=first.fine_tuned_model, **asked).time["seconds"] > 0
        assert jobs.estimate(model=other.fine_tuned_model, **asked).time["seconds"] is None  # never trained here
        (tmp_path / "short.txt").write_text("A short one.")
        short = jobs.create(
            model=second.fine_tuned_model,
            training_file=client.files.create(file=tmp_path / "short.txt").id,
            method={"type": "pretraining"},
        )
        with pytest.raises(JobFailedError, match="at most 15 tokens, but one sequence has 256"):
            jobs.wait(short.id, timeout=60)
        shown = client.files.preview(text, model=second.fine_tuned_model, limit=1).data[0]
        assert shown.trained_tokens == shown.total_tokens > 256  # more than the context: nothing of it is cut off
        assert not shown.truncated
        long: Any = {"type": "pretraining", "pretraining": {"max_length": 257}}
        with pytest.raises(BadRequestError, match="257 was asked for, but the model's context is 256") as refused:
            jobs.create(model=second.fine_tuned_model, training_file=text, method=long)
        assert refused.value.param == "method.pretraining.max_length"

        chat, pair = ({"validation_file": held_out[name]} for name in ("chats.jsonl", "pairs.jsonl"))
        third = train("supervised", TRAINING, model=second.fine_tuned_model, training_file=chats, **chat)
        fourth = train("dpo", TRAINING, model=third.fine_tuned_model, training_file=pairs, **pair)
        said = [samples_of(client, job.id, tmp_path) for job in (first, second, third, fourth)]
        assert all(stage and all(sample.prompt for sample in stage) for stage in said)
        # The same prompts behind both stages of chats, and each stage begins with what the one before it said last.
        assert [(sample.prompt, sample.after) for sample in said[2]] == [
            (sample.prompt, sample.before) for sample in said[3]
        ]
        assert client.models.retrieve(fourth.fine_tuned_model).base_model == "llama-custom"
        jobs.artifacts.download(fourth.id, tmp_path / "adapter")
        adapter = json.loads((tmp_path / "adapter/adapter_config.json").read_text())
        assert adapter["base_model_name_or_path"] == second.fine_tuned_model

        taken = train("initialization", {"tokenizer": {"type": "model"}}, model="tiny-random-llama")
        assert (taken.training_file, taken.base_model) == (None, "llama-nano")
        refuse(client, tmp_path, text=text, chats=chats)


def write_files(folder: Path) -> None:
    """Of each of FILES, and a valid- one: those of chats and pairs ask for the same words."""
    for prefix, count, seed in (("", 20, 0), ("valid-", 3, 1)):
        texts = [json.loads(line)["text"] for line in upper_case_texts(10 * count, seed=seed).splitlines()]
        (folder / f"{prefix}corpus.txt").write_text("".join(f"{text}\n" for text in texts))
        (folder / f"{prefix}chats.jsonl").write_bytes(upper_case(count, seed=seed))
        (folder / f"{prefix}pairs.jsonl").write_bytes(upper_case_preferred(count, seed=seed))


def samples_of(client: Tunesmith, job_id: str, folder: Path) -> list[samples.Sample]:
    (path,) = client.fine_tuning.jobs.artifacts.download(job_id, folder / job_id, names=["samples.jsonl"])
    return samples.load(path)


def refuse(client: Tunesmith, folder: Path, *, text: str, chats: str) -> None:
    """What is missing or too much is told by its key, before anything is trained."""
    jobs = client.fine_tuning.jobs
    model = "tiny-random-llama"
    initialization: Any = {"type": "initialization"}
    for fields, param in (
        ({"method": initialization}, "training_file"),
        ({"method": initialization, "training_file": text, "model": model}, "model"),
        ({"method": {"type": "initialization", "initialization": {"tokenizer": {"type": "model"}}}}, "model"),
        ({"training_file": chats}, "model"),
        ({"model": model}, "training_file"),
    ):
        with pytest.raises(BadRequestError) as caught:
            jobs.create(**fields)
        assert caught.value.param == param
    (folder / "short.txt").write_text("A CAT.\n")
    short = client.files.create(file=folder / "short.txt").id
    client.files.wait_for_processing(short)
    long: Any = {"type": "pretraining", "pretraining": {"max_length": 2048}}  # one sequence is longer than that text
    for method, file in ((long, short), ({"type": "pretraining"}, chats), ({"type": "supervised"}, text)):
        failed = jobs.create(model=model, training_file=file, method=method)
        assert (failed.status, failed.error.param) == ("failed", "training_file")


def test_the_contracts_bodies_stay_as_they_were(stack: Stack, project: ProjectKey) -> None:
    with httpx.Client(base_url=f"{stack.url}/v1", headers={"authorization": f"Bearer {project.key}"}) as http:
        answer = http.post("/fine_tuning/jobs", json={"training_file": "file-x", "model": None})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
