"""What a job's owner can read of a trainer that fails, and what its attempts have cost."""

import json
import sys

import httpx
from openai import OpenAI

from tests.e2e.rows import upper_case
from tests.e2e.test_openai import finish, upload
from tests.stack import Stack

LONG = json.dumps({"messages": [{"role": "user", "content": "a" * 4000}, {"role": "assistant", "content": "b" * 4000}]})
SHORT_CONTEXT = {"type": "supervised", "supervised": {"max_length": 32, "long_rows": "error", "samples": {"rows": 0}}}


def test_a_failed_trainers_traceback_is_in_the_logs_without_the_hosts_folders(stack: Stack, openai: OpenAI) -> None:
    training = upload(openai, "long.jsonl", upper_case(3, seed=0) + LONG.encode() + b"\n")
    job = openai.fine_tuning.jobs.create(
        model="tiny-random-llama", training_file=training, extra_body={"method": SHORT_CONTEXT}
    )
    assert finish(openai, job.id).status == "failed"

    with httpx.Client(base_url=f"{stack.url}/v1", headers={"authorization": f"Bearer {openai.api_key}"}) as http:
        logs = http.get(f"/fine_tuning/jobs/{job.id}/logs").json()
        backwards = http.get(f"/fine_tuning/jobs/{job.id}/logs", params={"order": "desc"}).json()
        usage = http.get(f"/fine_tuning/jobs/{job.id}").json()["usage"]
        (total,) = http.get("/usage", params={"group_by": ""}).json()["data"]
    text = "".join(item["text"] for item in logs["data"])
    assert "Traceback (most recent call last):" in text
    assert "<server>/trainers/run.py" in text
    for folder in (str(stack.folder), sys.prefix, sys.base_prefix):
        assert folder not in text
    assert [item["seq"] for item in logs["data"]] == list(range(1, len(logs["data"]) + 1))
    assert backwards["data"] == logs["data"][::-1]
    assert {item["attempt"] for item in logs["data"]} == {logs["data"][0]["attempt"]}
    # It may have failed before it was first sampled; what was charged is what is summed up.
    assert (total["jobs"], round(total["cpu_seconds"], 3)) == (1, usage["cpu_seconds"])
