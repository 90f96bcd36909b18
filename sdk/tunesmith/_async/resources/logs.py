"""A trainer's own output."""

from collections.abc import AsyncIterator
from typing import Literal

from tunesmith._async import polling, waiting
from tunesmith._async.page import AsyncPages
from tunesmith._async.resources.base import AsyncResource
from tunesmith.answers import given, parse, segment
from tunesmith.types import Job, LogLine


class AsyncLogs(AsyncResource):
    """`client.fine_tuning.jobs.logs`: the trainers' own output."""

    def list(
        self,
        job_id: str,
        *,
        limit: int | None = None,
        after: str | None = None,
        order: Literal["asc", "desc"] | None = None,
    ) -> AsyncPages[LogLine]:
        """What the job's trainers have written, oldest first unless `order` is desc; `after` is the id before."""
        path = f"/fine_tuning/jobs/{segment(job_id)}/logs"
        return self._pages(LogLine, path, given(limit=limit, after=after, order=order))

    async def follow(self, job_id: str, *, after: str | None = None) -> AsyncIterator[LogLine]:
        """Every piece behind the id `after`, and further ones as they come, until the job has ended."""
        while True:
            # The state first: what is written between the two looks must not be missed.
            job = parse(Job, await self._transport.request("GET", f"/fine_tuning/jobs/{segment(job_id)}"))
            async for line in self.list(job_id, after=after):
                after = line.id
                yield line
            if job.ended:
                return
            await waiting.sleep(polling.INTERVAL)
