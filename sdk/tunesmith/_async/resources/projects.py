"""Projects."""

from tunesmith._async.page import AsyncPages
from tunesmith._async.resources.base import AsyncResource
from tunesmith.types import Project


class AsyncProjects(AsyncResource):
    """`client.projects`: the owners of files, jobs and models."""

    def list(self) -> AsyncPages[Project]:
        """The key's project; for an operator's key all projects, by organisation and name."""
        return self._pages(Project, "/projects")
