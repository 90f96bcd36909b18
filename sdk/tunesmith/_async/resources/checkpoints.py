"""Checkpoints of jobs, and which projects may use them."""

from collections.abc import Sequence

from tunesmith._async.page import AsyncPages
from tunesmith._async.resources.base import AsyncResource
from tunesmith._async.transport import AsyncTransport
from tunesmith.answers import given, parse, parse_list, segment
from tunesmith.types import Checkpoint, Deleted, Permission


class AsyncJobCheckpoints(AsyncResource):
    """`client.fine_tuning.jobs.checkpoints`: the model as it was on the way.

    ```python
    async for checkpoint in client.fine_tuning.jobs.checkpoints.list(job.id):
        print(checkpoint.step_number, checkpoint.fine_tuned_model_checkpoint)
    ```
    """

    def list(self, job_id: str, *, limit: int | None = None, after: str | None = None) -> AsyncPages[Checkpoint]:
        """The job's checkpoints, latest first."""
        path = f"/fine_tuning/jobs/{segment(job_id)}/checkpoints"
        return self._pages(Checkpoint, path, given(limit=limit, after=after))


class AsyncPermissions(AsyncResource):
    """`client.fine_tuning.checkpoints.permissions`: which other projects may use a checkpoint."""

    async def create(self, checkpoint: str, *, project_ids: Sequence[str]) -> "list[Permission]":
        """Let those projects use the checkpoint, named by its `fine_tuned_model_checkpoint`."""
        path = _path(checkpoint)
        answer = await self._transport.request("POST", path, body={"project_ids": [*project_ids]})
        return parse_list(Permission, path, answer)[0]

    def list(
        self,
        checkpoint: str,
        *,
        project_id: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
    ) -> AsyncPages[Permission]:
        """Who may use the checkpoint; `order` is ascending or descending."""
        query = given(project_id=project_id, limit=limit, after=after, order=order)
        return self._pages(Permission, _path(checkpoint), query)

    async def delete(self, permission_id: str, *, checkpoint: str) -> Deleted:
        """Take the permission back."""
        path = f"{_path(checkpoint)}/{segment(permission_id)}"
        return parse(Deleted, await self._transport.request("DELETE", path))


class AsyncCheckpoints:
    """`client.fine_tuning.checkpoints`."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.permissions = AsyncPermissions(transport)


def _path(checkpoint: str) -> str:
    return f"/fine_tuning/checkpoints/{segment(checkpoint, safe=':')}/permissions"
