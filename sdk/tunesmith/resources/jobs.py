"""Fine-tuning jobs."""

import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from tunesmith import download, polling
from tunesmith.errors import JobFailedError, TunesmithError
from tunesmith.page import Page
from tunesmith.resources.base import Resource, get_page, parse, segment
from tunesmith.transport import Transport
from tunesmith.types import SUCCEEDED, Artifact, Checkpoint, Event, Job

Paths = list[Path]  # inside of the class, `list` is the method
LINK_SECONDS = 60  # a download link that is valid for less than this is asked for anew


class Jobs(Resource):
    def create(self, **spec: Any) -> Job:
        """Create a job: `model`, `training_file`, and the other fields of the API's job body.

        Raises:
            BadRequestError: the server refuses the spec; `param` names the field.
        """
        return parse(Job, self._transport.request("POST", "/fine_tuning/jobs", body=spec))

    def retrieve(self, job_id: str) -> Job:
        return parse(Job, self._transport.request("GET", _path(job_id)))

    def list(
        self, *, limit: int | None = None, after: str | None = None, metadata: dict[str, str] | None = None
    ) -> Page[Job]:
        """Jobs, newest first, with that metadata; `limit` is a page's length, `after` the id before it."""
        wanted = {f"metadata[{key}]": value for key, value in (metadata or {}).items()}
        return get_page(self._transport, Job, "/fine_tuning/jobs", {"limit": limit, "after": after, **wanted})

    def cancel(self, job_id: str) -> Job:
        """Cancel the job at once, wherever it is."""
        return parse(Job, self._transport.request("POST", _path(job_id, "/cancel")))

    def pause(self, job_id: str) -> Job:
        """Pause the job: at once where it is queued, after a checkpoint where it runs."""
        return parse(Job, self._transport.request("POST", _path(job_id, "/pause")))

    def resume(self, job_id: str) -> Job:
        """Queue a paused job again; it goes on from its last checkpoint."""
        return parse(Job, self._transport.request("POST", _path(job_id, "/resume")))

    def events(self, job_id: str, *, limit: int | None = None, after: str | None = None) -> Page[Event]:
        """What happened, newest first."""
        return get_page(self._transport, Event, _path(job_id, "/events"), {"limit": limit, "after": after})

    def checkpoints(self, job_id: str, *, limit: int | None = None, after: str | None = None) -> Page[Checkpoint]:
        """Checkpoints, latest first."""
        return get_page(self._transport, Checkpoint, _path(job_id, "/checkpoints"), {"limit": limit, "after": after})

    def artifacts(self, job_id: str) -> Page[Artifact]:
        """The files that the job yielded; none before it has succeeded."""
        return get_page(self._transport, Artifact, _path(job_id, "/artifacts"), {})

    def download(self, job_id: str, folder: str | os.PathLike[str], names: Collection[str] | None = None) -> Paths:
        """Download artifacts into the folder, which is made where it is missing, and verify size and SHA-256.

        Args:
            names: which artifacts; None: all of them.

        Returns:
            The paths of the files, in the server's order.

        Raises:
            DigestMismatch: other bytes came than the server promised; that file is not kept, earlier ones are.
            UnsafeName: an artifact's name leads out of the folder; nothing is downloaded.
            TunesmithError: the job has no artifact of a name that was asked for.
        """
        root = Path(folder)
        available = {artifact.name: artifact for artifact in self.artifacts(job_id)}
        missing = [name for name in names or () if name not in available]
        if missing or not available:
            raise TunesmithError(f"job {job_id} has no artifact" + (f" {missing[0]!r}" if missing else "s"))
        wanted = {name: download.target(root, name) for name in available if names is None or name in names}
        for name, path in wanted.items():
            if available[name].url_expires_at - time.time() < LINK_SECONDS:
                available |= {artifact.name: artifact for artifact in self.artifacts(job_id)}
            path.parent.mkdir(parents=True, exist_ok=True)
            save_artifact(self._transport, available[name], path)
        return [*wanted.values()]

    def wait(self, job_id: str, *, timeout: float | None = None, on_update: Callable[[Job], None] | None = None) -> Job:
        """Wait until the job has succeeded; a paused job is waited for as well.

        Args:
            timeout: seconds; None: for ever.
            on_update: called with the job's state, about once a second.

        Raises:
            JobFailedError: it has failed or was cancelled.
            WaitTimeout: it has not ended in time, and goes on.
        """
        for job in polling.states(lambda: self.retrieve(job_id), what=f"job {job_id}", timeout=timeout):
            if on_update is not None:
                on_update(job)
            if job.ended:
                break
        else:
            raise AssertionError("unreachable")
        if job.status != SUCCEEDED:
            raise JobFailedError(job)
        return job


def save_artifact(transport: Transport, artifact: Artifact, path: Path) -> None:
    """Fetch one artifact by its presigned link, without the key."""
    with transport.stream_bare(artifact.url) as response:
        download.save(response, path, sha256=artifact.sha256, size=artifact.bytes)


def _path(job_id: str, rest: str = "") -> str:
    return f"/fine_tuning/jobs/{segment(job_id)}{rest}"


class FineTuning:
    """`client.fine_tuning`, the name that the API's jobs are found under."""

    def __init__(self, transport: Transport) -> None:
        self.jobs = Jobs(transport)
