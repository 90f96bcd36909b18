"""What jobs have used."""

from collections.abc import Sequence

from tunesmith._async.page import AsyncPages
from tunesmith._async.resources.base import AsyncResource
from tunesmith.answers import given
from tunesmith.types import UsageRow


class AsyncUsage(AsyncResource):
    """`client.usage`: what jobs have used."""

    def list(
        self,
        *,
        start_time: int | None = None,
        end_time: int | None = None,
        group_by: Sequence[str] | None = None,
    ) -> AsyncPages[UsageRow]:
        """Sums over jobs, between two times in seconds since 1970.

        Args:
            group_by: any of project, key, model, day; one row for each combination that there is.
        """
        grouped = ",".join(group_by) if group_by else None
        return self._pages(UsageRow, "/usage", given(start_time=start_time, end_time=end_time, group_by=grouped))
