"""`client.fine_tuning`, the name that the API's jobs are found under."""

from tunesmith._async.resources.checkpoints import AsyncCheckpoints
from tunesmith._async.resources.files import AsyncFiles
from tunesmith._async.resources.graders import AsyncGraders
from tunesmith._async.resources.jobs import AsyncJobs
from tunesmith._async.transport import AsyncTransport


class AsyncFineTuning:
    def __init__(self, transport: AsyncTransport, files: AsyncFiles) -> None:
        self.jobs = AsyncJobs(transport, files)
        self.checkpoints = AsyncCheckpoints(transport)
        self.graders = AsyncGraders(transport)
