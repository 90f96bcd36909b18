"""Webhook endpoints by our own client and command line, against the served API."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine
from tunesmith import AsyncTunesmith, BadRequestError, NotFoundError, Tunesmith

from core.webhooks.event_types import EVENT_TYPES
from tests.api.test_webhook_endpoints import cancel_job
from tests.conftest import ProjectKey
from tests.receiver import Receiver

URL = "https://a.example/hook"


def cli(base_url: str, key: str, *arguments: str) -> Any:
    """What the command shows to programs."""
    env = {**os.environ, "TUNESMITH_BASE_URL": base_url, "TUNESMITH_API_KEY": key}
    command = [sys.executable, "-m", "tunesmith", "--format", "json", *arguments]
    done = subprocess.run(command, env=env, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_client(on_premises: httpx.Client, project: ProjectKey, engine: Engine, receiver: Receiver) -> None:
    base_url = f"{on_premises.base_url}/v1"
    with Tunesmith(base_url=base_url, api_key=project.key) as client:
        endpoints = client.webhook_endpoints
        made = endpoints.create(name="mine", url=receiver.url, event_types=EVENT_TYPES)
        assert made.signing_secret is not None
        assert made.signing_secret not in repr(made)
        assert endpoints.retrieve(made.id).signing_secret is None
        changed = endpoints.update(made.id, name="other")
        assert (changed.name, changed.url, changed.event_types) == ("other", receiver.url, [*EVENT_TYPES])
        rotated = endpoints.rotate_secret(made.id, keep_old_secret_active_for_24_hours=True)
        assert rotated.signing_secret not in (None, made.signing_secret)
        second = endpoints.create(name="second", url=URL, event_types=EVENT_TYPES[:1])
        assert [endpoint.id for endpoint in endpoints.list(limit=1)] == [second.id, made.id]
        assert endpoints.test(made.id, event_type=EVENT_TYPES[1]).status_code == 200
        assert receiver.calls[0].headers["webhook-signature"].count("v1,") == 2
        job_id = cancel_job(engine, project)
        (delivery,) = endpoints.deliveries(made.id)
        assert (delivery.job_id, delivery.status, delivery.tries) == (job_id, "pending", 0)
        with pytest.raises(BadRequestError) as refused:
            endpoints.create(name="n", url=URL, event_types=["batch.completed"])
        assert refused.value.param == "event_types.0"
        assert endpoints.delete(made.id).deleted
        with pytest.raises(NotFoundError):
            endpoints.retrieve(made.id)

    async def twin() -> None:
        async with AsyncTunesmith(base_url=base_url, api_key=project.key) as client:
            assert [endpoint.id async for endpoint in client.webhook_endpoints.list()] == [second.id]

    asyncio.run(twin())


def test_the_command_line(on_premises: httpx.Client, project: ProjectKey, engine: Engine, receiver: Receiver) -> None:
    def webhooks(*arguments: str) -> Any:
        return cli(f"{on_premises.base_url}/v1", project.key, "webhooks", *arguments)

    made = webhooks("create", "mine", receiver.url)
    assert made["event_types"] == [*EVENT_TYPES]
    assert made["signing_secret"].startswith("whsec_")
    assert webhooks("create", "second", URL, "--event", EVENT_TYPES[2])["event_types"] == [EVENT_TYPES[2]]
    assert [endpoint["name"] for endpoint in webhooks("list")] == ["second", "mine"]
    assert webhooks("rotate-secret", "--keep-old", made["id"])["signing_secret"] != made["signing_secret"]
    assert webhooks("test", made["id"], "--event", EVENT_TYPES[1])["status_code"] == 200
    assert receiver.calls[0].event["type"] == EVENT_TYPES[1]
    job_id = cancel_job(engine, project)
    assert [delivery["job_id"] for delivery in webhooks("deliveries", made["id"])] == [job_id]
    assert webhooks("delete", made["id"])["deleted"]
