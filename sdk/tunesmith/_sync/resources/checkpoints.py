# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/checkpoints.py: change it there.
"""Checkpoints of jobs, and which projects may use them."""

from collections.abc import Sequence

from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith._sync.transport import Transport
from tunesmith.answers import given, parse, parse_list, segment
from tunesmith.types import Checkpoint, Deleted, Permission


class JobCheckpoints(Resource):
    """`client.fine_tuning.jobs.checkpoints`: the model as it was on the way.

    ```python
    for checkpoint in client.fine_tuning.jobs.checkpoints.list(job.id):
        print(checkpoint.step_number, checkpoint.fine_tuned_model_checkpoint)
    ```
    """

    def list(self, job_id: str, *, limit: int | None = None, after: str | None = None) -> Page[Checkpoint]:
        """The job's checkpoints, latest first."""
        path = f"/fine_tuning/jobs/{segment(job_id)}/checkpoints"
        return self._pages(Checkpoint, path, given(limit=limit, after=after))


class Permissions(Resource):
    """`client.fine_tuning.checkpoints.permissions`: which other projects may use a checkpoint."""

    def create(self, checkpoint: str, *, project_ids: Sequence[str]) -> "list[Permission]":
        """Let those projects use the checkpoint, named by its `fine_tuned_model_checkpoint`."""
        path = _path(checkpoint)
        answer = self._transport.request("POST", path, body={"project_ids": [*project_ids]})
        return parse_list(Permission, path, answer)[0]

    def list(
        self,
        checkpoint: str,
        *,
        project_id: str | None = None,
        limit: int | None = None,
        after: str | None = None,
        order: str | None = None,
    ) -> Page[Permission]:
        """Who may use the checkpoint; `order` is ascending or descending."""
        query = given(project_id=project_id, limit=limit, after=after, order=order)
        return self._pages(Permission, _path(checkpoint), query)

    def delete(self, permission_id: str, *, checkpoint: str) -> Deleted:
        """Take the permission back."""
        path = f"{_path(checkpoint)}/{segment(permission_id)}"
        return parse(Deleted, self._transport.request("DELETE", path))


class Checkpoints:
    """`client.fine_tuning.checkpoints`."""

    def __init__(self, transport: Transport) -> None:
        self.permissions = Permissions(transport)


def _path(checkpoint: str) -> str:
    return f"/fine_tuning/checkpoints/{segment(checkpoint, safe=':')}/permissions"
