"""Schemathesis against our own description: single requests, then chains that follow its links.

Bounded here; `make fuzz` sets FUZZ_SECONDS and looks for longer, each time from another seed.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
from sqlalchemy import Engine, select

from core.db import session_scope
from core.models import File
from core.storage import Storage
from tests.api.conftest import Served
from tests.conftest import ProjectKey
from tests.core.factories import make_checkpoint

SECONDS = os.environ.get("FUZZ_SECONDS")
# Left out: negative_data_rejection and positive_data_acceptance, as a schema can't say which files and models exist,
# and clients may send null and numbers as text where it says otherwise; ensure_resource_availability, which takes the
# 404 of something that a body names (a part, a file) for one of the resource in the path.
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "use_after_free",
    "ignored_auth",
    "unsupported_method",
)


def description_with_known_names(
    http: httpx.Client, *, project_id: str, checkpoint: str, file_id: str
) -> dict[str, object]:
    """Our own description, and in it names that exist here: without them no chain would come past a 404."""
    schema = http.get("/openapi.json").json()
    bodies = schema["components"]["schemas"]
    bodies["JobSpec"]["properties"]["model"]["enum"] = ["tiny-random-llama", checkpoint]
    bodies["JobSpec"]["properties"]["training_file"]["enum"] = [file_id]
    # Whatever else comes in time: here a job is made, and its links are followed.
    bodies["JobSpec"]["example"] = {"model": "tiny-random-llama", "training_file": file_id}
    bodies["PermissionSpec"]["properties"]["project_ids"]["items"] = {"enum": [project_id]}
    for body in ("WebhookEndpointSpec", "WebhookEndpointChange"):
        bodies[body]["properties"]["url"] = {
            "type": "string",
            "enum": ["https://receiver.invalid/hook", "http://a", "a"],
        }
    schema["paths"]["/v1/files"]["post"]["responses"]["200"]["links"] = {
        "train": {"operationId": "create_job", "requestBody": {"training_file": "$response.body#/id"}}
    }
    for path in schema["paths"]:
        for operation in schema["paths"][path].values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "stream":
                    parameter["schema"] = {"type": "boolean", "enum": [False]}  # a stream of a waiting job has no end
                if parameter["name"] in ("checkpoint", "model"):
                    parameter["schema"]["enum"] = [checkpoint, "tiny-random-llama", "a/b"]
    return schema


def test_whatever_is_sent_the_answer_is_a_documented_one(
    served: Served,
    http: httpx.Client,
    project: ProjectKey,
    engine: Engine,
    storage: Storage,
    publish_card: Callable[..., None],
    tmp_path: Path,
) -> None:
    with session_scope(engine) as session:
        checkpoint = make_checkpoint(session, project.owner)
        file = session.scalars(select(File)).one()
        with storage.writer(file.object_key) as writer:
            writer.write(b"{}\n")
        file.sha256 = writer.sha256
    publish_card()
    schema = description_with_known_names(http, project_id=project.project_id, checkpoint=checkpoint, file_id=file.id)
    (tmp_path / "openapi.json").write_text(json.dumps(schema))
    (tmp_path / "schemathesis.toml").write_text("")  # or it would look for one in the folders above
    seed = ["--generation-deterministic"] if SECONDS is None else ["--generation-database", "none"]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", "openapi.json", "--url", served.url),
            *("--header", f"Authorization: Bearer {project.key}", "--checks", ",".join(CHECKS), *seed),
            *("--max-time", SECONDS or "45", "--max-examples", "8" if SECONDS is None else "1000"),
            *(
                "--phases",
                "examples,coverage,stateful" if SECONDS is None else "examples,coverage,fuzzing,stateful",
                "--continue-on-failure",
                "--no-color",
                "--warnings",
                "off",
            ),
            *("--suppress-health-check", "all"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # It came through: jobs were made, and not only refused.
    assert len(http.get("/v1/fine_tuning/jobs").json()["data"]) > 1
