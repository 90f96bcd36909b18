import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from core.access import keys, service
from core.errors import NotAllowed, NotAuthenticated
from core.models import ApiKey, Project
from tests.conftest import ProjectKey


def test_form() -> None:
    made = {keys.generate(keys.PROJECT_PREFIX) for _ in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch("tsk-[0-9A-Za-z]{36}", key) and keys.is_well_formed(key) for key in made)


def test_a_typing_error_is_seen_without_the_database() -> None:
    key = keys.generate(keys.OPERATOR_PREFIX)
    for at in range(len(key)):
        other = key[:at] + ("x" if key[at] != "x" else "y") + key[at + 1 :]
        assert not keys.is_well_formed(other)
    assert not keys.is_well_formed(key + "\n")
    assert not keys.is_well_formed("tsk-" + key[4:])


def test_only_a_hash_is_kept(session: Session, project: ProjectKey) -> None:
    row = session.scalars(select(ApiKey)).one()
    assert row.sha256 == keys.digest(project.key)
    assert project.key not in str({column.name: getattr(row, column.name) for column in ApiKey.__table__.columns})


def test_who_a_key_speaks_for(session: Session, project: ProjectKey, operator_key: str) -> None:
    assert service.authenticate(session, key=project.key).project_id == project.project_id
    operator = service.authenticate(session, key=operator_key)
    assert operator.project_id is None
    with pytest.raises(NotAllowed, match="operator key"):
        service.require_project(operator)


def revoke(key: ApiKey) -> None:
    key.revoked_at = func.now()  # pyright: ignore[reportAttributeAccessIssue]


def expire(key: ApiKey) -> None:
    key.expires_at = func.now() - timedelta(seconds=1)


@pytest.mark.parametrize("change", [revoke, expire])
def test_a_key_ends(session: Session, project: ProjectKey, change: Callable[[ApiKey], None]) -> None:
    change(session.scalars(select(ApiKey)).one())
    session.flush()
    with pytest.raises(NotAuthenticated):
        service.authenticate(session, key=project.key)


@pytest.mark.parametrize(
    "key", [None, "", "tsk-", "sk-proj-abc", pytest.param(keys.generate(keys.PROJECT_PREFIX), id="of nobody")]
)
def test_unknown_keys(session: Session, key: str | None) -> None:
    with pytest.raises(NotAuthenticated) as caught:
        service.authenticate(session, key=key)
    assert not key or key not in str(caught.value)


def test_a_project_is_made_once(session: Session) -> None:
    made = {service.ensure_project(session, organization="o", project=name).id for name in ("a", "b", "a")}
    assert len(made) == 2
    assert session.scalar(select(func.count()).select_from(Project)) == 2
