# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/usage.py: change it there.
"""What jobs have used."""

from collections.abc import Sequence

from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.answers import given
from tunesmith.types import UsageRow


class Usage(Resource):
    """`client.usage`: what jobs have used."""

    def list(
        self,
        *,
        start_time: int | None = None,
        end_time: int | None = None,
        group_by: Sequence[str] | None = None,
    ) -> Page[UsageRow]:
        """Sums over jobs, between two times in seconds since 1970.

        Args:
            group_by: any of project, key, model, day; one row for each combination that there is.
        """
        grouped = ",".join(group_by) if group_by else None
        return self._pages(UsageRow, "/usage", given(start_time=start_time, end_time=end_time, group_by=grouped))
