# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/projects.py: change it there.
"""Projects."""

from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.types import Project


class Projects(Resource):
    """`client.projects`: the owners of files, jobs and models."""

    def list(self) -> Page[Project]:
        """The key's project; for an operator's key all projects, by organisation and name."""
        return self._pages(Project, "/projects")
