from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select, text

from core.db import session_scope
from core.jobs.repository import JobFilter, jobs
from core.models import Job
from tests.conftest import ProjectKey


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


def test_jobs_that_go_on_from_one_are_found_before_they_are_put_in_order(engine: Engine, project: ProjectKey) -> None:
    """Else a page that can't be filled reads all jobs there are, newest first."""
    asked: list[tuple[str, Any]] = []
    with session_scope(engine) as session:
        connection = session.connection()
        event.listen(connection, "before_cursor_execute", lambda _, __, *said: asked.append((said[0], said[1])))
        jobs(session, owner=project.owner, wanted=JobFilter(from_job="ftjob-1"), after=None, limit=20)
        statement, parameters = asked[-1]
        plan = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars()
        assert "(id)::text = ANY ((InitPlan" in "\n".join(plan)


def _explain(_: object, __: object, statement: str, parameters: object, *___: object) -> tuple[str, object]:
    return f"EXPLAIN {statement}", parameters
