"""What the API writes about the requests that it answers."""

import json
import os
import sys
from pathlib import Path

import httpx

from embedded.ports import free_ports
from embedded.process import Child
from embedded.services import Services
from tests.conftest import ProjectKey
from tests.stack import responds


def test_each_request_is_an_object_with_its_id_and_what_it_named(
    services: Services, project: ProjectKey, tmp_path: Path
) -> None:
    port = free_ports(1)[0]
    url = f"http://127.0.0.1:{port}"
    env = {**os.environ, **services.env, "TUNESMITH_LOG_FORMAT": "json", "TUNESMITH_RATE_LIMIT_PER_MINUTE": "0"}
    uvicorn = ["-m", "uvicorn", "api.main:app", "--port", str(port), "--no-access-log"]
    server = Child(
        name="api", command=[sys.executable, *uvicorn], logs=tmp_path, env=env, ready=lambda: responds(f"{url}/readyz")
    )
    server.start()
    try:
        server.wait_ready(60)
        key = {"authorization": f"Bearer {project.key}"}
        known = httpx.get(f"{url}/v1/fine_tuning/jobs/ftjob-1", headers=key)
        forged = httpx.get(f"{url}/v1/files/x%0AINFO%20forged", headers=key, params={"key": project.key})
    finally:
        server.stop()
    text = (tmp_path / "api.log").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    by_id = {line["request_id"]: line for line in lines if "request_id" in line}
    line = by_id[known.headers["x-request-id"]]
    assert (line["job"], line["logger"], line["level"]) == ("ftjob-1", "api.access", "INFO")
    assert line["message"].startswith("GET /v1/fine_tuning/jobs/ftjob-1 404 ")
    assert by_id[forged.headers["x-request-id"]]["file"] == r"x\nINFO forged"
    assert project.key not in text
    assert any(line["logger"] == "uvicorn.error" for line in lines)
