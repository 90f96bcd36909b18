"""What is foretold is what happens: an estimate against the job that is then run, on the whole stack."""

import json
import random

import httpx
from openai import OpenAI

from tests.e2e.rows import upper_case
from tests.stack import Stack, eventually

MODEL = "tiny-random-llama"


def test_the_estimate_is_what_the_job_reports(stack: Stack, openai: OpenAI) -> None:
    draw = random.Random(4)
    longer = [
        {
            "messages": [
                {"role": "system", "content": "Count " + "on " * draw.randint(0, 40)},
                {"role": "user", "content": "one"},
                {"role": "assistant", "content": "two", "weight": draw.randint(0, 1)},
                {"role": "user", "content": "three"},
                {"role": "assistant", "content": "four " * draw.randint(1, 20)},
            ]
        }
        for _ in range(25)
    ]
    content = upper_case(30, seed=2) + "".join(json.dumps(row) + "\n" for row in longer).encode()
    file = openai.files.create(file=("rows.jsonl", content), purpose="fine-tune")
    eventually(lambda: openai.files.retrieve(file.id).status == "processed", seconds=60, what="the file processed")
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": 4}}}
    body = {"model": MODEL, "training_file": file.id, "method": method}
    headers = {"authorization": f"Bearer {openai.api_key}"}

    with httpx.Client(base_url=f"{stack.url}/v1", headers=headers, timeout=60) as http:

        def estimate() -> dict | None:
            """Once a worker has published the model's card, and has reported itself to the emptied database."""
            answer = http.post("/fine_tuning/jobs/estimate", json=body)
            found = answer.json() if answer.status_code == 200 else None
            return found if found and found["memory"]["devices"] else None

        foretold = eventually(estimate, seconds=120, what="an estimate")
        # The catalogue has a model, too, whose place is empty: it must not keep the others' cards back.
        log, told = stack.folder / "logs" / "train.log", "the card of tiny-from-nowhere could not be published"
        eventually(lambda: told in log.read_text(), seconds=60, what="a card that can't be published")
        assert foretold["time"]["seconds"] is None
        assert [device["fits"] for device in foretold["memory"]["devices"]] == [True]
        job = openai.fine_tuning.jobs.create(**body)
        job = eventually(lambda: _ended(openai, job.id), seconds=120, what="the end of the job")
        assert job.status == "succeeded", job.error
        metrics = http.get(f"/fine_tuning/jobs/{job.id}").json()
        assert metrics["total_steps"] == foretold["steps"]
        assert metrics["trained_tokens"] == foretold["tokens"]["trained"] * foretold["epochs"]
        messages = [event.message for event in openai.fine_tuning.jobs.list_events(job.id, limit=100).data]
        assert any(f"rows of {foretold['tokens']['total']} tokens" in message for message in messages)

        shown = [
            row
            for offset in range(0, 55, 20)
            for row in http.get(
                f"/files/{file.id}/preview", params={"model": job.fine_tuned_model, "offset": offset, "limit": 20}
            ).json()["data"]
        ]
        assert sum(row["trained_tokens"] for row in shown) == foretold["tokens"]["trained"]
        measured = eventually(estimate, seconds=10, what="an estimate")["time"]
        assert measured["measured_jobs"] == 1
        assert measured["seconds"] > 0


def test_rows_that_are_cut_off_and_steps_in_place_of_epochs_are_foretold(stack: Stack, openai: OpenAI) -> None:
    long = [{"prompt": "say it", "completion": "four " * length} for length in range(1, 21)]
    content = "".join(json.dumps(row) + "\n" for row in long).encode()
    file = openai.files.create(file=("rows.jsonl", content), purpose="fine-tune")
    eventually(lambda: openai.files.retrieve(file.id).status == "processed", seconds=60, what="the file processed")
    once = {"max_length": 64, "packing": "off", "hyperparameters": {"n_epochs": 1, "batch_size": 4}}
    split = {"max_steps": 5, "validation_split": 0.2, "long_rows": "drop", "max_length": 64}
    headers = {"authorization": f"Bearer {openai.api_key}"}
    with httpx.Client(base_url=f"{stack.url}/v1", headers=headers, timeout=60) as http:
        for options in (once, split):
            body = {"model": MODEL, "training_file": file.id, "method": {"type": "supervised", "supervised": options}}

            def estimate(body: dict = body) -> dict | None:
                answer = http.post("/fine_tuning/jobs/estimate", json=body)
                return answer.json() if answer.status_code == 200 else None

            foretold = eventually(estimate, seconds=120, what="an estimate")
            assert foretold["rows"]["too_long"] > 0
            assert "rows_too_long" in {warning["code"] for warning in foretold["warnings"]}
            created = openai.fine_tuning.jobs.create(**body)
            job = eventually(lambda created=created: _ended(openai, created.id), seconds=120, what="the end of the job")
            assert job.status == "succeeded", job.error
            metrics = http.get(f"/fine_tuning/jobs/{job.id}").json()
            assert metrics["total_steps"] == foretold["steps"]
            again = http.post("/fine_tuning/jobs", json={**body, "method": metrics["method"]})
            assert again.status_code == 200, again.text
            http.post(f"/fine_tuning/jobs/{again.json()['id']}/cancel")
            assert options is split or metrics["trained_tokens"] == foretold["tokens"]["trained"]


def _ended(openai: OpenAI, job_id: str):
    job = openai.fine_tuning.jobs.retrieve(job_id)
    return job if job.status in ("succeeded", "failed", "cancelled") else None
