# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/attempts.py: change it there.
"""Workers' tries at jobs."""

from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.answers import given, segment
from tunesmith.types import Attempt


class Attempts(Resource):
    """`client.fine_tuning.jobs.attempts`: workers' tries at a job.

    ```python
    for attempt in client.fine_tuning.jobs.attempts.list(job.id):
        print(attempt.number, attempt.worker, attempt.outcome, attempt.detail)
    ```
    """

    def list(self, job_id: str, *, limit: int | None = None, after: str | None = None) -> Page[Attempt]:
        """The tries at the job, the latest first; `limit` is a page's length, `after` the id before it."""
        return self._pages(Attempt, f"/fine_tuning/jobs/{segment(job_id)}/attempts", given(limit=limit, after=after))
