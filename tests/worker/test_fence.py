"""Writes that the fence refuses are counted, whoever tried them."""

import pytest
from sqlalchemy import Engine, func, update

from core.db import session_scope
from core.files import claims as validations
from core.jobs import claims, service
from core.leases import Limits, Replaced
from core.models import Job
from core.ops import tallies
from core.specs.run import RunResult
from tests.conftest import ProjectKey
from tests.core.factories import make_file
from worker.context import Context
from worker.fence import fenced
from worker.supervisor import Attempt


def refused(engine: Engine) -> dict[str, float]:
    with session_scope(engine) as session:
        counters = tallies.totals(session).counters
        return {label: total for (name, label), total in counters.items() if name == "fenced_writes_refused"}


@pytest.mark.parametrize("replaced_by", ["cancel", "lease"])
def test_a_replaced_attempt_leaves_and_its_write_is_counted(
    attempt: Attempt, project: ProjectKey, replaced_by: str
) -> None:
    engine = attempt.context.engine
    with session_scope(engine) as session:
        if replaced_by == "cancel":
            service.cancel(session, owner=project.owner, job_id=attempt.assignment.job_id)
        else:
            session.execute(update(Job).values(lease_expires_at=func.now()))
    if replaced_by == "lease":
        with session_scope(engine) as session:
            assert claims.reap(session, limits=Limits(lease=0, max_losses=9, max_faults=9)) == 1
    result = RunResult(outcome="stopped", step=1, trained_tokens=1)
    (attempt.run_dir / "result.json").write_text(result.model_dump_json())
    attempt.context.draining.set()
    with pytest.raises(Replaced):
        attempt._finish()
    with pytest.raises(Replaced):
        attempt._beat()
    assert refused(engine) == {"jobs": 2}


def test_what_is_accepted_is_not_counted(context: Context, project: ProjectKey) -> None:
    with session_scope(context.engine) as session:
        make_file(session, project.owner, status="uploaded")
        file = validations.claim(session, lease=60)
        assert file is not None
        session.flush()
        session.refresh(file)
        token = file.token or 0
    with fenced(context.engine) as session:
        validations.heartbeat(session, token=token, lease=60)
    with pytest.raises(Replaced), fenced(context.engine) as session:
        validations.heartbeat(session, token=token + 1, lease=60)
    assert refused(context.engine) == {"files": 1}
