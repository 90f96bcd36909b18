"""What a user of the hosted API does, with whichever `openai` is on the path: sync and async, typed and raw.

Run as a program by test_clients.py; its one argument is a JSON object of what the test has prepared.
"""

import asyncio
import hashlib
import inspect
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import openai

ROW = b'{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"ho"}]}\n'
MODEL = "tiny-random-llama"


async def done(value: Any) -> Any:
    """What the call answers: of the sync client at once, of the async one when it is awaited."""
    return await value if inspect.isawaitable(value) else value


async def every(pages: Any) -> list[Any]:
    """All items of all pages."""
    return [item async for item in pages] if hasattr(pages, "__aiter__") else list(pages)


async def raised(kind: type[Exception], value: Any) -> Any:
    """The error of that kind that the call has to end in; `value` makes the call."""
    try:
        await done(value())
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


async def files(client: Any) -> None:
    made = [await done(client.files.create(file=(f"{i}.jsonl", ROW), purpose="fine-tune")) for i in range(3)]
    listed = await every(client.files.list(limit=1, order="asc"))
    assert [file.id for file in listed[-3:]] == [file.id for file in made]
    assert [file.id for file in await every(client.files.list(purpose="evals"))] == []
    file = await done(
        client.files.create(
            file=("a.bin", b"\0\1"), purpose="user_data", expires_after={"anchor": "created_at", "seconds": 3600}
        )
    )
    assert file.expires_at == file.created_at + 3600
    assert (await done(client.files.wait_for_processing(file.id))).status == "processed"
    assert (await done(client.files.content(file.id))).content == b"\0\1"
    assert (await done(client.files.delete(file.id))).deleted
    error = await raised(openai.NotFoundError, lambda: client.files.retrieve(file.id))
    assert (error.code, error.param, error.status_code) == ("not_found", "file_id", 404)
    raw = await done(client.files.with_raw_response.retrieve(made[0].id))
    assert raw.headers["x-request-id"].startswith("req_")
    assert (await done(raw.parse())).id == made[0].id


async def jobs(client: Any, *, file_id: str) -> None:
    create = client.fine_tuning.jobs.create
    made = [
        await done(create(model=MODEL, training_file=file_id, metadata={"n": str(n)}, seed=n, suffix="mine"))
        for n in range(3)
    ]
    job = made[0]
    assert (job.object, job.status, job.seed, job.model) == ("fine_tuning.job", "queued", 0, MODEL)
    assert job.method.type == "supervised"
    assert [j.id for j in await every(client.fine_tuning.jobs.list(limit=2))][:3] == [j.id for j in made[::-1]]
    assert [j.id for j in await every(client.fine_tuning.jobs.list(metadata={"n": "1"}))] == [made[1].id]
    without = await every(client.fine_tuning.jobs.list(extra_query={"metadata": "null"}))
    assert {j.id for j in without}.isdisjoint(j.id for j in made)
    events = await every(client.fine_tuning.jobs.list_events(job.id, limit=1))
    assert events[-1].message == f"Created fine-tuning job: {job.id}"
    assert (await done(client.fine_tuning.jobs.pause(job.id))).status == "paused"
    assert (await done(client.fine_tuning.jobs.resume(job.id))).status == "queued"
    assert (await done(client.fine_tuning.jobs.cancel(job.id))).status == "cancelled"
    error = await raised(openai.BadRequestError, lambda: client.fine_tuning.jobs.cancel(job.id))
    assert (error.code, error.type) == ("invalid_state", "invalid_request_error")
    method = {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 51}}}
    error = await raised(openai.BadRequestError, lambda: create(model=MODEL, training_file=file_id, method=method))
    assert error.param == "method.supervised.hyperparameters.n_epochs"
    error = await raised(openai.BadRequestError, lambda: create(model="gpt-5", training_file=file_id))
    assert (error.param, error.code) == ("model", "model_not_found")
    raw = await done(client.fine_tuning.jobs.with_raw_response.retrieve(job.id))
    assert json.loads(raw.text() if callable(raw.text) else raw.text)["id"] == job.id
    twice = [
        await done(create(model=MODEL, training_file=file_id, extra_headers={"Idempotency-Key": f"k-{type(client)}"}))
        for _ in range(2)
    ]
    assert twice[0].id == twice[1].id


async def extras(client: Any, *, file_id: str) -> None:
    """What the contract does not know goes out and comes back as it was, typed and raw."""
    api = client.fine_tuning.jobs
    lora = {"r": 4, "alpha": 8.5, "dropout": 0.25}
    asked = {
        "model": MODEL,
        "training_file": file_id,
        "method": {"type": "supervised", "supervised": {"lora": lora, "max_length": 64}},
        "metadata": {"extras": "yes"},
        "extra_body": {"resources": {"gpus": 0}},
    }

    def check(job: dict[str, Any]) -> None:
        method = job["method"]["supervised"]
        assert {key: method["lora"][key] for key in lora} == lora
        assert (method["max_length"], job["resources"]) == (64, {"gpus": 0})

    job = await done(api.create(**asked))
    check(job.to_dict())
    check((await done(api.retrieve(job.id))).to_dict())
    raw = await done(api.with_raw_response.create(**asked))
    check(json.loads(raw.http_response.content))
    check((await done(raw.parse())).to_dict())
    retrieved = await done(api.with_raw_response.retrieve(job.id))
    check(json.loads(retrieved.http_response.content))
    listed = await every(api.list(metadata={"extras": "yes"}, limit=1))
    assert len(listed) == 2
    for item in listed:
        check(item.to_dict())
    page = await done(api.with_raw_response.list(metadata={"extras": "yes"}))
    for item in json.loads(page.http_response.content)["data"]:
        check(item)
    wrong = {**asked, "extra_body": {"resources": {"gpus": 0, "gpu": 1}}}
    error = await raised(openai.BadRequestError, lambda: api.create(**wrong))
    assert error.param == "resources.gpu"


async def checkpoints(client: Any, *, checkpoint: str) -> None:
    job_id = (await done(client.models.retrieve(checkpoint))).job_id
    (found,) = await every(client.fine_tuning.jobs.checkpoints.list(job_id, limit=1))
    assert (found.object, found.fine_tuned_model_checkpoint) == ("fine_tuning.job.checkpoint", checkpoint)
    assert (found.fine_tuning_job_id, found.step_number) == (job_id, 2)
    raw = await done(client.fine_tuning.jobs.checkpoints.with_raw_response.list(job_id))
    assert [item["id"] for item in json.loads(raw.http_response.content)["data"]] == [found.id]


async def in_flight(client: Any, *, file_id: str, release: Path) -> None:
    """Somebody holds the Idempotency-Key `held` until the file `release` is there."""
    asked = {"model": MODEL, "training_file": file_id, "extra_headers": {"Idempotency-Key": "held"}}
    hasty = client.with_options(max_retries=0)
    error = await raised(openai.ConflictError, lambda: hasty.fine_tuning.jobs.create(**asked))
    assert (error.status_code, error.code) == (409, "idempotency_key_in_flight")
    assert (error.response.headers["x-should-retry"], error.response.headers["retry-after"]) == ("true", "1")
    statuses = []

    def seen(response: Any) -> None:
        statuses.append(response.status_code)
        release.touch()

    async def seen_async(response: Any) -> None:
        seen(response)

    is_async = inspect.iscoroutinefunction(client.post)
    client._client.event_hooks = {"response": [seen_async if is_async else seen]}
    raw = await done(client.with_options(max_retries=5).fine_tuning.jobs.with_raw_response.create(**asked))
    client._client.event_hooks = {}
    assert (statuses[0], statuses[-1], raw.retries_taken) == (409, 200, len(statuses) - 1)


async def uploads(client: Any) -> None:
    content = ROW * 10
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "big.jsonl"
        path.write_bytes(content)
        md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
        upload = await done(
            client.uploads.upload_file_chunked(
                file=path, mime_type="text/jsonl", purpose="fine-tune", part_size=100, md5=md5
            )
        )
    assert (upload.status, upload.file.bytes, upload.file.filename) == ("completed", len(content), "big.jsonl")
    assert (await done(client.files.content(upload.file.id))).content == content
    other = await done(client.uploads.create(bytes=5, filename="a", mime_type="text/plain", purpose="user_data"))
    part = await done(client.uploads.parts.create(other.id, data=b"123"))
    assert (part.object, part.upload_id) == ("upload.part", other.id)
    error = await raised(openai.BadRequestError, lambda: client.uploads.complete(other.id, part_ids=[part.id]))
    assert error.code == "upload_size_mismatch"
    assert (await done(client.uploads.cancel(other.id))).status == "cancelled"


async def models(client: Any, *, checkpoint: str) -> None:
    assert MODEL in [model.id for model in await every(client.models.list())]
    assert (await done(client.models.retrieve(checkpoint))).id == checkpoint
    await raised(openai.PermissionDeniedError, lambda: client.models.delete(MODEL))
    error = await raised(openai.NotFoundError, lambda: client.models.retrieve("org/model"))
    assert "org/model" in error.message


async def permissions(client: Any, *, checkpoint: str, project_ids: list[str]) -> None:
    api = client.fine_tuning.checkpoints.permissions
    made = await every(api.create(checkpoint, project_ids=project_ids))
    assert [permission.project_id for permission in made] == project_ids
    if hasattr(api, "list"):
        listed = await every(api.list(checkpoint, limit=1, order="ascending"))
    else:
        listed = (await done(api.retrieve(checkpoint))).data
    assert {permission.id for permission in listed} == {permission.id for permission in made}
    for permission in made:
        gone = await done(api.delete(permission.id, fine_tuned_model_checkpoint=checkpoint))
        assert (gone.object, gone.deleted) == ("checkpoint.permission", True)


async def deletions(client: Any, *, checkpoint: str, file_id: str) -> None:
    gone = await done(client.models.delete(checkpoint))
    assert (gone.id, gone.object, gone.deleted) == (checkpoint, "model", True)
    await raised(openai.NotFoundError, lambda: client.models.retrieve(checkpoint))
    create = client.fine_tuning.jobs.create
    error = await raised(openai.BadRequestError, lambda: create(model=checkpoint, training_file=file_id))
    assert (error.param, error.code) == ("model", "model_not_found")


async def webhooks(client: Any) -> None:
    api = client.webhooks
    if not hasattr(api, "create"):  # 3.x manages endpoints; all of them unwrap events
        return
    types = (await done(api.event_types.list())).data
    made = [
        await done(api.create(name=f"n{i}", url="https://receiver.invalid/hook", event_types=types)) for i in range(3)
    ]
    assert made[0].signing_secret.startswith("whsec_")
    listed = await every(api.list(limit=2))
    assert [(item.id, item.name) for item in listed] == [(item.id, item.name) for item in made[::-1]]
    changed = await done(api.update(made[0].id, name="other", event_types=types[:1]))
    assert (changed.name, changed.event_types, changed.object) == ("other", types[:1], "webhook_endpoint")
    for options in ({}, {"keep_old_secret_active_for_24_hours": True}):
        rotated = await done(api.rotate_secret(made[0].id, **options))
        assert rotated.signing_secret != made[0].signing_secret
    shown = await done(api.retrieve(made[0].id))
    assert shown.signing_secret_hint[-4:] == rotated.signing_secret[-4:]
    error = await raised(openai.BadRequestError, lambda: api.test(made[0].id, event_type=types[0]))
    assert (error.code, "was not found" in error.message) == ("webhook_receiver_unreached", True)
    error = await raised(
        openai.BadRequestError, lambda: api.create(name="n", url=made[0].url, event_types=["batch.completed"])
    )
    assert error.param == "event_types.0"
    for endpoint in made:
        gone = await done(api.delete(endpoint.id))
        assert (gone.id, gone.object, gone.deleted) == (endpoint.id, "webhook_endpoint.deleted", True)
    await raised(openai.NotFoundError, lambda: api.retrieve(made[0].id))


async def refusals(client: Any, *, limited_key: str, small_url: str) -> None:
    small = client.with_options(base_url=small_url)
    error = await raised(openai.APIStatusError, lambda: small.files.create(file=("a", ROW * 9), purpose="fine-tune"))
    assert (error.status_code, error.code, error.param) == (413, "too_large", "file")
    await raised(openai.AuthenticationError, lambda: client.with_options(api_key="sk-wrong").models.list())
    limited = client.with_options(api_key=limited_key, max_retries=0)
    first = await done(limited.models.with_raw_response.list())
    assert first.headers["x-ratelimit-limit-requests"] == "1"
    error = await raised(openai.RateLimitError, limited.models.list)
    assert (error.code, error.response.headers["x-ratelimit-remaining-requests"]) == ("rate_limit_exceeded", "0")
    assert 0 < int(error.response.headers["retry-after"]) <= 60


async def graders(client: Any) -> None:
    api = client.fine_tuning.alpha.graders
    exact = {
        "type": "string_check",
        "name": "exact",
        "input": "{{ sample.output_text }}",
        "reference": "{{ item.answer }}",
        "operation": "eq",
    }
    assert (await done(api.validate(grader=exact))).grader.name == "exact"
    ran = await done(api.run(grader=exact, model_sample="yes", item={"answer": "yes"}))
    assert (ran.reward, ran.metadata.type, ran.metadata.errors.invalid_variable_error) == (1.0, "string_check", False)
    python = {"type": "python", "name": "length", "source": "def grade(sample, item):\n    return item['n'] / 2\n"}
    both = {"type": "multi", "name": "both", "graders": {"a": exact, "b": python}, "calculate_output": "a + b"}
    ran = await done(api.run(grader=both, model_sample="yes", item={"answer": "no", "n": 3}))
    assert (ran.reward, ran.sub_rewards, ran.model_grader_token_usage_per_model) == (1.5, {"a": 0.0, "b": 1.5}, {})
    ran = await done(api.run(grader=exact, model_sample="yes"))
    assert (ran.reward, ran.metadata.errors.invalid_variable_error) == (0.0, True)
    broken = {**python, "source": "def grade(sample, item:\n    return 1\n"}
    error = await raised(openai.BadRequestError, lambda: api.validate(grader=broken))
    assert (error.code, error.param) == ("invalid_grader", "grader.source")
    assert "line " in error.message


async def main() -> None:
    given = json.loads(sys.argv[1])
    options: dict[str, Any] = {"base_url": given["base_url"], "timeout": 30}
    if "admin_api_key" in inspect.signature(openai.OpenAI).parameters:
        options["admin_api_key"] = given["keys"][0]
    for kind, key, limited in zip((openai.OpenAI, openai.AsyncOpenAI), given["keys"], given["limited"], strict=True):
        options |= {"admin_api_key": key} if "admin_api_key" in options else {}
        client: Any = kind(api_key=key, **options)
        await files(client)
        await jobs(client, file_id=given["files"][key])
        await extras(client, file_id=given["files"][key])
        await checkpoints(client, checkpoint=given["checkpoints"][key])
        await in_flight(client, file_id=given["files"][key], release=Path(given["releases"][key]))
        await uploads(client)
        await models(client, checkpoint=given["checkpoints"][key])
        await permissions(client, checkpoint=given["checkpoints"][key], project_ids=given["projects"])
        await deletions(client, checkpoint=given["checkpoints"][key], file_id=given["files"][key])
        await webhooks(client)
        await graders(client)
        await refusals(client, limited_key=limited, small_url=given["small_url"])
        await done(client.close())
    sys.stdout.write(openai.__version__)


asyncio.run(main())
