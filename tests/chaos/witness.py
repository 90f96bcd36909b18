"""What the harness sees for itself: database, object store and processes, past the code of the product."""

import hashlib
import json
import os
import re
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
from botocore.client import Config
from botocore.exceptions import ClientError
from psycopg.rows import dict_row

from embedded.services import Services

AUDIT = Path(__file__).parent / "audit.sql"
RUN_LOG = re.compile(r"/runs/(ftjob-\w+)-(\d+)/log\.txt(?: \(deleted\))?$")
LONGEST_OUTAGE = 120.0  # seconds
TABLES = {
    "attempts": "SELECT job_id AS job, token, worker_id AS worker, outcome, detail, "
    "extract(epoch FROM ended_at)::float8 AS ended FROM attempts WHERE job_id = ANY(%s) ORDER BY token",
    "events": "SELECT job_id AS job, seq, id, extract(epoch FROM created_at)::float8 AS created FROM events "
    "WHERE job_id = ANY(%s) ORDER BY job_id, seq",
    "metrics": "SELECT job_id AS job, step, token, (data->>'train_loss')::float8 AS loss FROM metrics "
    "WHERE job_id = ANY(%s) ORDER BY job_id, step",
    "checkpoints": "SELECT id, job_id AS job, token, step, prefix, manifest FROM checkpoints "
    "WHERE job_id = ANY(%s) ORDER BY job_id, step",
    "artifacts": "SELECT id, job_id AS job, name, bytes, sha256, object_key AS key FROM artifacts "
    "WHERE job_id = ANY(%s) ORDER BY job_id, name",
    "models": "SELECT job_id AS job, name, checkpoint_step AS step FROM models WHERE job_id = ANY(%s)",
    "audit": "SELECT n, at, transaction_at, transaction_id, relation, job_id AS job, facts FROM chaos_audit "
    "WHERE job_id = ANY(%s) ORDER BY n",
}
JOBS = """
    SELECT id, spec->'metadata'->>'key' AS key, status, token, event_seq, step, total_steps, trained_tokens, faults,
           losses, error->>'code' AS error
    FROM jobs WHERE spec->'metadata'->>'run' = %s ORDER BY created_at
"""
FILES = "SELECT id, filename, bytes, sha256, object_key AS key, status FROM files WHERE starts_with(filename, %s)"


@dataclass(frozen=True)
class Trainer:
    """A process that writes the log of an attempt: its trainer, or something that its trainer has started."""

    pid: int
    job: str
    token: int


def trainers() -> list[Trainer]:
    """Those of every worker on this machine: the attempt is in the path, also of a folder that we can't see."""
    found: list[Trainer] = []
    for folder in Path("/proc").iterdir():
        try:
            output = os.readlink(folder / "fd" / "1") if folder.name.isdigit() else ""
        except OSError:  # it has ended, or is not ours
            continue
        if match := RUN_LOG.search(output):
            found.append(Trainer(int(folder.name), match[1], int(match[2])))
    return found


class Witness:
    """Reads database and store directly: no trouble of the proxies touches it. May be shared between threads."""

    def __init__(self, services: Services) -> None:
        env = services.env
        self._url = env["TUNESMITH_DATABASE_URL"].replace("+psycopg", "")
        self._connection: psycopg.Connection[dict[str, Any]] | None = None
        self._lock = threading.Lock()
        self._store = boto3.client(
            "s3",
            endpoint_url=env["TUNESMITH_S3_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=env["TUNESMITH_S3_ACCESS_KEY_ID"],
            aws_secret_access_key=env["TUNESMITH_S3_SECRET_ACCESS_KEY"],
            config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
        )

    def install(self) -> None:
        """Let the database note every write that matters."""
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(AUDIT.read_text())  # pyright: ignore[reportArgumentType]

    def rows(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """What a query answers; while PostgreSQL is away it is asked again."""
        deadline = time.monotonic() + LONGEST_OUTAGE
        with self._lock:
            while True:
                try:
                    if self._connection is None:
                        self._connection = psycopg.connect(self._url, autocommit=True, row_factory=dict_row)
                    return self._connection.execute(sql, parameters or None).fetchall()  # pyright: ignore[reportArgumentType]
                except psycopg.OperationalError:
                    if time.monotonic() > deadline:
                        raise
                    self._disconnect()
                    time.sleep(0.1)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def close(self) -> None:
        with self._lock:
            self._disconnect()
        self._store.close()

    def found(self, key: str) -> dict[str, Any] | None:
        """Size and digest of the bytes that the store has under that key; None where it has none."""
        body = self._read(key)
        return None if body is None else {"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}

    def _read(self, key: str) -> bytes | None:
        try:
            return self._store.get_object(Bucket="tunesmith", Key=key)["Body"].read()
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
                return None
            raise

    def faults_of(self, prefix: str, manifest: Iterable[dict[str, Any]]) -> list[str]:
        """What of a folder is missing in the store, or is not what its manifest says."""
        return [
            f"{entry['name']}: {found or 'missing'}"
            for entry in manifest
            if (found := self.found(f"{prefix}{entry['name']}")) != {"bytes": entry["bytes"], "sha256": entry["sha256"]}
        ]

    def dump(self, run: str) -> dict[str, Any]:
        """All that database and store have of a run's jobs, as plain values."""
        jobs = self.rows(JOBS, run)
        ids = [job["id"] for job in jobs]
        dump: dict[str, Any] = {"jobs": jobs, "files": self.rows(FILES, run)}
        dump |= {name: self.rows(sql, ids) for name, sql in TABLES.items()}
        keys = {row["key"] for row in [*dump["files"], *dump["artifacts"]]}
        folders = {row["key"].removesuffix(row["name"]) for row in dump["artifacts"]}
        for checkpoint in dump["checkpoints"]:
            folders.add(checkpoint["prefix"])
            keys |= {f"{checkpoint['prefix']}{entry['name']}" for entry in checkpoint["manifest"]}
        dump["objects"] = {key: self.found(key) for key in sorted(keys)}
        dump["manifests"] = {prefix: self._manifest(prefix) for prefix in sorted(folders)}
        return dump

    def _manifest(self, prefix: str) -> Any:
        """The manifest beside a stored folder; None where it is missing or unreadable."""
        try:
            return json.loads(self._read(f"{prefix}manifest.json") or b"")
        except ValueError:
            return None
