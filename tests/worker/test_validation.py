"""What ends a validation without a verdict."""

import pytest

from core.db import session_scope
from core.models import File
from tests.conftest import ProjectKey
from tests.core.factories import make_file
from worker import validation
from worker.context import Context
from worker.slots import Slot


@pytest.mark.parametrize("problem", ["NoSuchKey", "NotADirectoryError"])
def test_an_unexpected_error_gives_the_file_back_at_once_with_a_reason(
    context: Context, project: ProjectKey, problem: str
) -> None:
    with session_scope(context.engine) as session:
        file_id = make_file(session, project.owner, status="uploaded").id  # its bytes are in no store
    if problem == "NotADirectoryError":
        (context.runs.parent / "validations").touch()
    for _ in range(context.settings.max_losses):
        assert validation.run_next(context, Slot())
    with session_scope(context.engine) as session:
        file = session.get_one(File, file_id)
        assert (file.status, file.token) == ("error", None)
        assert (file.status_details or "").endswith(f"most recently: {problem}")
