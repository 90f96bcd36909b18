"""Fine-tuning jobs."""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import Unpack

from tunesmith._async import polling
from tunesmith._async.page import AsyncPages
from tunesmith._async.resources.artifacts import AsyncArtifacts
from tunesmith._async.resources.attempts import AsyncAttempts
from tunesmith._async.resources.base import AsyncResource
from tunesmith._async.resources.checkpoints import AsyncJobCheckpoints
from tunesmith._async.resources.events import AsyncEvents
from tunesmith._async.resources.files import AsyncFiles
from tunesmith._async.resources.logs import AsyncLogs
from tunesmith._async.resources.metrics import AsyncMetrics
from tunesmith._async.resources.rollouts import AsyncRollouts
from tunesmith._async.transport import AsyncTransport
from tunesmith.answers import given, listed, parse, segment
from tunesmith.errors import APIStatusError, JobFailedError, TunesmithError
from tunesmith.retries import refused
from tunesmith.specs import JobFields, JobSpec, body
from tunesmith.types import SUCCEEDED, Estimate, Event, Job, Sample

if TYPE_CHECKING:
    from rich.console import Console

    from tunesmith.progress import View

Spec = JobSpec | Mapping[str, Any]


class AsyncJobs(AsyncResource):
    """`client.fine_tuning.jobs`: fine-tuning jobs.

    ```python
    from pathlib import Path

    job = await client.fine_tuning.jobs.create(
        model="tiny-random-llama",
        training_file=Path("train.jsonl"),
        method={"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}},
        metadata={"team": "docs"},
    )
    job = await client.fine_tuning.jobs.watch(job.id)
    print(job.status, job.fine_tuned_model)

    async for earlier in client.fine_tuning.jobs.list(metadata={"team": "docs"}):
        print(earlier.id, earlier.status)
    ```

    The spec can be typed as well, with the server's own models:

    ```python
    from tunesmith.specs import JobSpec, Lora, Supervised, SupervisedMethod

    spec = JobSpec(
        model="tiny-random-llama",
        training_file=job.training_file,
        method=SupervisedMethod(supervised=Supervised(lora=Lora(r=4, alpha=8))),
    )
    job = await client.fine_tuning.jobs.create(spec, seed=1)
    job = await client.fine_tuning.jobs.wait(job.id)
    ```
    """

    def __init__(self, transport: AsyncTransport, files: AsyncFiles) -> None:
        super().__init__(transport)
        self._files = files
        self.events = AsyncEvents(transport)
        self.attempts = AsyncAttempts(transport)
        self.checkpoints = AsyncJobCheckpoints(transport)
        self.artifacts = AsyncArtifacts(transport)
        self.metrics = AsyncMetrics(transport)
        self.logs = AsyncLogs(transport)
        self.rollouts = AsyncRollouts(transport)

    async def create(
        self, spec: Spec | None = None, /, *, idempotency_key: str | None = None, **fields: Unpack[JobFields]
    ) -> Job:
        """Create a job from a spec, from fields as keywords, or from both, where the keywords win.

        A `training_file` or `validation_file` that is a `Path` is uploaded first, and deleted again where the server
        then refuses the job, or the other one can't be read; a string is a file's id.

        Args:
            idempotency_key: two calls with the same key make one job; else every call has its own.

        Raises:
            BadRequestError: the server refuses the spec; `param` names the field.
            OSError: a file to upload cannot be read.
        """
        uploaded: list[str] = []
        try:
            sent = await self._body(spec, fields, uploaded)
            path = "/fine_tuning/jobs"
            answer = await self._transport.request("POST", path, body=sent, idempotency_key=idempotency_key)
        except (APIStatusError, OSError) as error:
            if isinstance(error, OSError) or refused(error):  # the other file can't be read, or the job can't be made
                await self._delete(uploaded)
            raise
        return parse(Job, answer)

    async def estimate(self, spec: Spec | None = None, /, **fields: Unpack[JobFields]) -> Estimate:
        """What the job that `create` would make of the same arguments will take: tokens, steps, memory, time, cost.

        A file that is a `Path` is uploaded first, and waited for until it is validated.

        Raises:
            BadRequestError: the server refuses the spec; `param` names the field.
            FileRejectedError: the contents of a file that was uploaded are not usable.
            OSError: a file to upload cannot be read.
        """
        sent = await self._body(spec, fields, [], validated=True)
        return parse(Estimate, await self._transport.request("POST", "/fine_tuning/jobs/estimate", body=sent))

    async def _body(
        self, spec: Spec | None, fields: Mapping[str, Any], uploaded: "list[str]", *, validated: bool = False
    ) -> dict[str, Any]:
        """What to send, with ids in the place of paths.

        Args:
            uploaded: takes the ids of the files that this call has sent.
            validated: wait until the files are.
        """
        sent = body(spec, fields)
        for key in ("training_file", "validation_file"):
            if isinstance(sent.get(key), os.PathLike):
                file, new = await self._files._send(Path(sent[key]))  # pyright: ignore[reportPrivateUsage]
                if new:
                    uploaded.append(file.id)
                if validated:
                    await self._files.wait_for_processing(file.id)
                sent[key] = file.id
        return sent

    async def _delete(self, file_ids: "list[str]") -> None:
        for file_id in file_ids:
            with suppress(TunesmithError):  # the refusal is what the caller has to hear
                await self._files.delete(file_id)

    async def retrieve(self, job_id: str) -> Job:
        """The job's present state."""
        return parse(Job, await self._transport.request("GET", _path(job_id)))

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        metadata: dict[str, str] | None = None,
        status: str | Sequence[str] | None = None,
        method: str | Sequence[str] | None = None,
        model: str | None = None,
        project_id: str | None = None,
        from_job: str | None = None,
        search: str | None = None,
    ) -> AsyncPages[Job]:
        """Jobs, newest first; `limit` is a page's length, `after` the id before it.

        Args:
            metadata: pairs that the jobs have.
            status: one or several of the states that they may be in.
            method: one or several types of methods.
            model: what they were asked for with, or the base model that they run on.
            project_id: for operators, whose keys see every project.
            from_job: they start from a model or checkpoint that this job made, or are rewarded by one.
            search: a part, in upper or lower case, of the id, the names of models, the suffix, a value of the metadata
                or the error's message.
        """
        wanted = {f"metadata[{key}]": value for key, value in (metadata or {}).items()}
        wanted |= given(status=listed(status), method=listed(method), model=model, search=search)
        wanted |= given(project_id=project_id, from_job=from_job)
        return self._pages(Job, "/fine_tuning/jobs", given(limit=limit, after=after, **wanted))

    def samples(self, job_id: str, *, limit: int | None = None, after: str | None = None) -> AsyncPages[Sample]:
        """What the model made of validation rows before and after; none before the job has succeeded."""
        return self._pages(Sample, _path(job_id, "/samples"), given(limit=limit, after=after))

    async def cancel(self, job_id: str) -> Job:
        """Cancel the job at once, wherever it is."""
        return parse(Job, await self._transport.request("POST", _path(job_id, "/cancel")))

    async def pause(self, job_id: str) -> Job:
        """Pause the job: at once where it is queued, after a checkpoint where it runs."""
        return parse(Job, await self._transport.request("POST", _path(job_id, "/pause")))

    async def resume(self, job_id: str) -> Job:
        """Queue a paused job again; it goes on from its last checkpoint."""
        return parse(Job, await self._transport.request("POST", _path(job_id, "/resume")))

    async def wait(
        self,
        job_id: str,
        *,
        timeout: float | None = None,
        on_update: Callable[[Job], None] | None = None,
        progress: bool | None = None,
    ) -> Job:
        """Wait until the job has succeeded; a paused job is waited for as well.

        On a terminal it shows the job as `watch` does. Ctrl-C stops waiting and leaves the job running.

        Args:
            timeout: seconds; None: for ever.
            on_update: called with the job's state, about once a second.
            progress: show it on standard output, or don't; None: where that is a terminal and there is no `on_update`.

        Raises:
            JobFailedError: it has failed or was cancelled.
            WaitTimeout: it has not ended in time, and goes on.
        """
        from tunesmith.progress import View, on_terminal

        shown = on_update is None and on_terminal() if progress is None else progress
        view = View(job_id) if shown else None
        job = await self._until_ended(job_id, view=view, timeout=timeout, on_update=on_update)
        if job.status != SUCCEEDED:
            raise JobFailedError(job)
        return job

    async def watch(self, job_id: str, *, console: "Console | None" = None, curve: bool = False) -> Job:
        """Show the job on the terminal until it ends, and answer its last state, whether it succeeded or not.

        Ctrl-C stops watching and leaves the job running.

        Args:
            console: where to show it; else standard output.
            curve: draw the loss over the steps as well.
        """
        from tunesmith.progress import View

        return await self._until_ended(job_id, view=View(job_id, console), curve=curve)

    async def _until_ended(
        self,
        job_id: str,
        *,
        view: "View | None",
        curve: bool = False,
        timeout: float | None = None,
        on_update: Callable[[Job], None] | None = None,
    ) -> Job:
        """The job's last state."""

        async def look() -> Job:
            job = await self.retrieve(job_id)
            if on_update is not None:
                on_update(job)
            if view is not None:
                view.show(job, await self._new_events(job_id, view.seq))
                if curve and job.step:
                    # All of them: a name that the job has not measured yet would be refused.
                    view.draw(await self.metrics.retrieve(job_id, max_points=view.points))
            return job

        with view or nullcontext():
            return await polling.until(lambda job: job.ended, look, what=f"job {job_id}", timeout=timeout)

    async def _new_events(self, job_id: str, seq: int) -> "list[Event]":
        """Those behind `seq`, oldest first; at the first look, which has none before it, only the latest."""
        new: list[Event] = []
        async for event in self.events.list(job_id, limit=100):
            if event.seq <= seq or (seq == 0 and len(new) == 100):
                break
            new.append(event)
        return new[::-1]


def _path(job_id: str, rest: str = "") -> str:
    return f"/fine_tuning/jobs/{segment(job_id)}{rest}"
