"""How the deployment is doing."""

from tunesmith._async.page import AsyncPages
from tunesmith._async.resources.base import AsyncResource
from tunesmith.types import Queue, Worker


class AsyncOps(AsyncResource):
    """`client.ops`: how the deployment is doing; for keys of operators, others get `PermissionDeniedError`."""

    def workers(self) -> AsyncPages[Worker]:
        """The worker processes, and what each of them is at."""
        return self._pages(Worker, "/ops/workers")

    def queues(self) -> AsyncPages[Queue]:
        """How many jobs and files wait for each kind of worker, and for how long."""
        return self._pages(Queue, "/ops/queue")
