# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/logs.py: change it there.
"""A trainer's own output."""

from collections.abc import Iterator
from typing import Literal

from tunesmith._sync import polling, waiting
from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.answers import given, parse, segment
from tunesmith.types import Job, LogLine


class Logs(Resource):
    """`client.fine_tuning.jobs.logs`: the trainers' own output."""

    def list(
        self,
        job_id: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: Literal["asc", "desc"] | None = None,
    ) -> Page[LogLine]:
        """What the job's trainers have written, oldest first unless `order` is desc; `after` is the id before."""
        path = f"/fine_tuning/jobs/{segment(job_id)}/logs"
        return self._pages(LogLine, path, given(limit=limit, after=after, order=order))

    def follow(self, job_id: str, *, after: str | None = None) -> Iterator[LogLine]:
        """Every piece behind the id `after`, and further ones as they come, until the job has ended."""
        while True:
            # The state first: what is written between the two looks must not be missed.
            job = parse(Job, self._transport.request("GET", f"/fine_tuning/jobs/{segment(job_id)}"))
            for line in self.list(job_id, after=after):
                after = line.id
                yield line
            if job.ended:
                return
            waiting.sleep(polling.INTERVAL)
