# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/fine_tuning.py: change it there.
"""`client.fine_tuning`, the name that the API's jobs are found under."""

from tunesmith._sync.resources.checkpoints import Checkpoints
from tunesmith._sync.resources.files import Files
from tunesmith._sync.resources.graders import Graders
from tunesmith._sync.resources.jobs import Jobs
from tunesmith._sync.transport import Transport


class FineTuning:
    def __init__(self, transport: Transport, files: Files) -> None:
        self.jobs = Jobs(transport, files)
        self.checkpoints = Checkpoints(transport)
        self.graders = Graders(transport)
