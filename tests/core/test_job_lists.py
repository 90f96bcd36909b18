import pytest
from sqlalchemy import Engine, event, func, select, text

from core.db import session_scope
from core.jobs.repository import JobFilter
from core.models import Job


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (JobFilter(metadata={"team": "a"}), "ix_jobs_metadata"),
        (JobFilter(methods=["supervised"]), "ix_jobs_method"),
        (JobFilter(model="tiny"), "ix_jobs_base_model"),
        (JobFilter(model="tiny"), "ix_jobs_model"),
        (JobFilter(statuses=["cancelled"]), "ix_jobs_status_created_at_id"),
        (JobFilter(from_job="ftjob-1"), "ix_jobs_parent_model_id"),
        (JobFilter(from_job="ftjob-1"), "ix_jobs_reward_models"),
        (JobFilter(search="out of memory"), "ix_jobs_search_text"),
    ],
)
def test_an_index_finds_the_few_jobs_that_a_list_is_narrowed_down_to(
    engine: Engine, wanted: JobFilter, index: str
) -> None:
    """Where the planner may not read the whole table: an index on another expression would not help it."""
    with session_scope(engine) as session:
        session.execute(text("SET LOCAL enable_seqscan = off"))
        counting = select(func.count()).select_from(Job).where(*wanted.conditions())
        event.listen(session.connection(), "before_cursor_execute", _explain, retval=True)
        plan = session.scalars(counting)
        assert index in "\n".join(map(str, plan))


def _explain(_: object, __: object, statement: str, parameters: object, *___: object) -> tuple[str, object]:
    return f"EXPLAIN {statement}", parameters
