"""The newest `openai` client and plain `peft`, which know nothing of us."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from openai import OpenAI

from tests.e2e.rows import upper_case
from tests.stack import Stack, eventually

# Loads base and adapter with plain peft in a process of its own, and prints the held-out loss without and with it.
HELD_OUT_LOSS = """
import json, sys, torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
base, adapter, rows = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(adapter)
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), adapter).eval()
def loss():
    total = count = 0
    for line in open(rows):
        messages = json.loads(line)["messages"]
        prompt = tokenizer.apply_chat_template(messages[:1], tokenize=False, add_generation_prompt=True)
        full = tokenizer.apply_chat_template(messages, tokenize=False)
        ids, start = tokenizer(full, return_tensors="pt").input_ids, len(tokenizer(prompt).input_ids)
        logp = model(ids).logits[0, start - 1:-1].log_softmax(-1).gather(1, ids[0, start:, None])
        total, count = total - float(logp.sum().detach()), count + len(logp)
    return total / count
after = loss()
with model.disable_adapter():
    before = loss()
print(json.dumps([before, after]))
"""


def upload(client: OpenAI, name: str, content: bytes) -> str:
    return client.files.create(file=(name, content), purpose="fine-tune").id


def finish(client: OpenAI, job_id: str, *, seconds: float = 120):
    def ended():
        job = client.fine_tuning.jobs.retrieve(job_id)
        return job if job.status in ("succeeded", "failed", "cancelled") else None

    return eventually(ended, seconds=seconds, what=f"end of {job_id}")


def download(client: OpenAI, stack: Stack, job_id: str, folder: Path) -> dict[str, str]:
    """Fetch all artifacts without a key; answers their digests by name."""
    url = f"{stack.url}/v1/fine_tuning/jobs/{job_id}/artifacts"
    listed = httpx.get(url, headers={"authorization": f"Bearer {client.api_key}"}).json()["data"]
    folder.mkdir()
    for item in listed:
        content = httpx.get(item["url"]).content
        assert hashlib.sha256(content).hexdigest() == item["sha256"]
        (folder / item["name"]).write_bytes(content)
    return {item["name"]: item["sha256"] for item in listed}


def test_upload_train_and_load_with_plain_peft(openai: OpenAI, stack: Stack, tmp_path: Path) -> None:
    valid = upper_case(12, seed=2)
    (tmp_path / "valid.jsonl").write_bytes(valid)
    training, validation = upload(openai, "t.jsonl", upper_case(120, seed=1)), upload(openai, "v.jsonl", valid)
    assert openai.files.wait_for_processing(training, poll_interval=0.2).status == "processed"
    job = openai.fine_tuning.jobs.create(
        model="tiny-random-llama", training_file=training, validation_file=validation, suffix="caps", seed=1
    )
    done = finish(openai, job.id)
    assert done.status == "succeeded", done.error
    assert done.fine_tuned_model.startswith("ft:tiny-random-llama:tunesmith:caps:")
    assert done.trained_tokens > 0
    assert done.usage["cpu_seconds"] > 0
    assert done.hyperparameters.n_epochs == 3

    events = list(openai.fine_tuning.jobs.list_events(job.id))[::-1]
    assert events[0].message == f"Created fine-tuning job: {job.id}"
    assert events[-1].message == "The job has successfully completed"
    steps = [event.data["step"] for event in events if event.type == "metrics"]
    assert steps == list(range(1, len(steps) + 1))
    checkpoints = list(openai.fine_tuning.jobs.checkpoints.list(job.id))
    assert checkpoints[0].step_number == steps[-1]
    assert checkpoints[0].metrics.valid_loss > 0
    table = openai.files.content(done.result_files[0]).text.splitlines()
    assert table[0] == "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"
    assert len(table) == len(steps) + 1

    digests = download(openai, stack, job.id, tmp_path / "adapter")
    assert {"adapter_model.safetensors", "adapter_config.json", "samples.jsonl"} <= set(digests)
    config = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tunesmith/tiny-random-llama"
    base = stack.prepared("tiny-random-llama")
    paths = [str(base), str(tmp_path / "adapter"), str(tmp_path / "valid.jsonl")]
    printed = subprocess.run([sys.executable, "-c", HELD_OUT_LOSS, *paths], capture_output=True, text=True, check=True)
    before, after = json.loads(printed.stdout)
    assert after < before - 0.3, (before, after)

    chained = openai.fine_tuning.jobs.create(model=done.fine_tuned_model, training_file=training, seed=2)
    again = finish(openai, chained.id)
    assert again.status == "succeeded", again.error
    other = download(openai, stack, chained.id, tmp_path / "again")
    assert other["adapter_model.safetensors"] != digests["adapter_model.safetensors"]
    refused = openai.fine_tuning.jobs.create(
        model=done.fine_tuned_model,
        training_file=training,
        method={"type": "supervised", "supervised": {"lora": {"target_modules": "attention"}}},  # pyright: ignore[reportArgumentType]
    )
    failed = finish(openai, refused.id)
    assert (failed.status, failed.error.param) == ("failed", "method.supervised.lora.target_modules")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "no rows"), (upper_case(3, seed=1)[:-20], "line 3"), (b'{"messages": [{"role": "bot"}]}\n', "role")],
    ids=["empty", "truncated", "wrong role"],
)
def test_unusable_files_end_in_error_and_fail_their_jobs(openai: OpenAI, content: bytes, says: str) -> None:
    file_id = upload(openai, "bad.jsonl", content)
    job = openai.fine_tuning.jobs.create(model="tiny-random-llama", training_file=file_id)
    failed = finish(openai, job.id, seconds=30)
    assert failed.status == "failed"
    assert (failed.error.code, failed.error.param) == ("invalid_file", "training_file")
    assert says in failed.error.message
    file = openai.files.retrieve(file_id)
    assert file.status == "error"
    assert says in (file.status_details or "")
