# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/metrics.py: change it there.
"""A job's figures over its steps."""

from collections.abc import Sequence

from tunesmith._sync.resources.base import Resource
from tunesmith.answers import given, parse, segment
from tunesmith.types import MetricSeries


class Metrics(Resource):
    """`client.fine_tuning.jobs.metrics`: a job's figures over its steps.

    ```python
    metrics = client.fine_tuning.jobs.metrics.retrieve(job.id, names=["train_loss"], max_points=100)
    loss = metrics.series["train_loss"]
    print(dict(zip(loss.steps, loss.values)))
    ```
    """

    def retrieve(
        self, job_id: str, *, names: Sequence[str] | None = None, max_points: int | None = None
    ) -> MetricSeries:
        """The series of those names (None: all), each thinned to at most `max_points`."""
        query = given(names=",".join(names) if names is not None else None, max_points=max_points)
        path = f"/fine_tuning/jobs/{segment(job_id)}/metrics"
        return parse(MetricSeries, self._transport.request("GET", path, query=query))
