# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/ops.py: change it there.
"""How the deployment is doing."""

from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.types import Queue, Worker


class Ops(Resource):
    """`client.ops`: how the deployment is doing; for keys of operators, others get `PermissionDeniedError`."""

    def workers(self) -> Page[Worker]:
        """The worker processes, and what each of them is at."""
        return self._pages(Worker, "/ops/workers")

    def queues(self) -> Page[Queue]:
        """How many jobs and files wait for each kind of worker, and for how long."""
        return self._pages(Queue, "/ops/queue")
