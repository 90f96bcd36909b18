"""Prompts that don't suit their model, found by a cpu worker before their job is queued; and what it leaves alone."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from core.db import session_scope
from core.jobs import prompt_checks, service
from core.jobs.publishing import Folder
from core.leases import Replaced
from core.models import Attempt, File, Job, PromptCheck
from core.registry import cards
from core.registry.catalogue import load_catalogue
from core.settings import PACKAGED_CATALOGUE
from core.specs.job import JobSpec
from core.storage import Entry
from tests.cards import CHATML, FACTS, write_card
from tests.conftest import ProjectKey
from tests.core.factories import make_file, make_model
from worker import prompts
from worker.context import Context
from worker.reconciler import Contact, give_back
from worker.slots import Slot

CONTEXT = FACTS["context"]
AROUND = 1 + 5 + 2 + 1 + 10  # tokens of ChatML around a prompt, and before its answer
CHECK = {"type": "string_check", "name": "is", "operation": "eq", "input": "{{ sample.output_text }}", "reference": "4"}
_, TINY = load_catalogue(PACKAGED_CATALOGUE).models
MakeJob = Callable[..., str]


@pytest.fixture
def publish(context: Context, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Publish the card of the tiny model."""
    prefix = cards.prefix(TINY)

    def remove() -> None:
        for entry in context.storage.manifest(prefix) or []:
            context.storage.delete(f"{prefix}{entry.name}")
        context.storage.delete(f"{prefix}manifest.json")

    def put(template: str = CHATML) -> None:
        write_card(tmp_path / "published" / "card", template)
        context.storage.put_folder(prefix, tmp_path / "published")

    remove()
    yield put
    remove()


@pytest.fixture
def make_job(context: Context, project: ProjectKey, tmp_path: Path) -> MakeJob:
    """A job, of reinforcement or of ppo where it has reward models, whose files, with prompts of so many characters,
    are in the store and validated."""

    def stored(file: File, lengths: list[int], **keys: Any) -> str:
        rows = [{"messages": [{"role": "user", "content": "a" * length}], **keys} for length in lengths]
        path = tmp_path / "rows"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        entry: Entry = context.storage.put_file(file.object_key, path)
        file.bytes, file.sha256 = entry.bytes, entry.sha256
        return file.id

    def make(*lengths: int, validation: list[int] | None = None, tools: Any = None, **options: Any) -> str:
        keys, method = {"tools": tools} if tools else {}, "ppo" if "reward_models" in options else "reinforcement"
        given = {"grader": CHECK, **options}
        with session_scope(context.engine) as session:
            spec = {
                "model": TINY.id,
                "training_file": stored(make_file(session, project.owner), list(lengths), **keys),
                "method": {"type": method, method: given},
            }
            if validation:
                spec["validation_file"] = stored(make_file(session, project.owner), validation)
            catalogue = load_catalogue(PACKAGED_CATALOGUE)
            body = JobSpec.model_validate(spec)
            job = service.create(session, owner=project.owner, catalogue=catalogue, spec=body, known={})
            assert (job.status, job.status_reason) == ("validating_files", "waiting for its prompts to be checked")
            return job.id

    return make


def after_check(context: Context, job_id: str) -> tuple[str, dict[str, Any] | None]:
    """(status, error) once a worker has done what there was to do; nobody trained."""
    assert prompts.run_next(context, Slot())
    assert not prompts.run_next(context, Slot())
    return stands(context, job_id)


def stands(context: Context, job_id: str) -> tuple[str, dict[str, Any] | None]:
    with session_scope(context.engine) as session:
        assert session.scalars(select(func.count()).select_from(PromptCheck)).one() == 0
        assert session.scalars(select(func.count()).where(Attempt.job_id == job_id)).one() == 0
        job = session.get_one(Job, job_id)
        return job.status, job.error


@pytest.mark.parametrize("length", [{"max_length": 100}, {"max_completion_tokens": CONTEXT - 100}])
def test_a_prompt_that_is_too_long_fails_the_job_with_its_line(
    context: Context, publish: Callable[..., None], make_job: MakeJob, length: dict[str, int]
) -> None:
    publish()
    fits = 100 - AROUND
    assert after_check(context, make_job(fits, fits, **length)) == ("queued", None)
    status, error = after_check(context, make_job(fits, fits + 1, **length))
    left = f"100 are left for a prompt (max_length, or the context of {CONTEXT} without max_completion_tokens)"
    assert status == "failed"
    assert error == {
        "code": "invalid_file",
        "param": "training_file",
        "message": f"training_file: line 2: has 101 tokens, but {left}",
    }


def test_the_validation_files_prompts_are_checked_too(
    context: Context, publish: Callable[..., None], make_job: MakeJob
) -> None:
    publish()
    status, error = after_check(context, make_job(1, validation=[1, 1, 500], max_length=100))
    assert status == "failed"
    assert error is not None
    assert error["param"] == "validation_file"
    assert error["message"].startswith(f"validation_file: line 3: has {AROUND + 500} tokens, but 100 are left")


def test_long_prompts_that_are_to_be_dropped_fail_it_only_where_none_is_left(
    context: Context, publish: Callable[..., None], make_job: MakeJob
) -> None:
    publish()
    options: dict[str, Any] = {"max_length": 100, "long_rows": "drop"}
    assert after_check(context, make_job(500, 1, 500, **options)) == ("queued", None)
    status, error = after_check(context, make_job(500, 500, **options))
    assert status == "failed"
    assert error is not None
    assert error["message"] == "training_file: all prompts have more than 100 tokens"


def test_a_prompt_that_the_template_refuses_fails_it(
    context: Context, publish: Callable[..., None], make_job: MakeJob
) -> None:
    publish(CHATML + "{% if messages[0]['content']|length > 3 %}{{ raise_exception('too chatty') }}{% endif %}")
    status, error = after_check(context, make_job(1, 2, 9))
    assert status == "failed"
    assert error is not None
    assert error["message"].startswith("training_file: line 3: ")
    assert "too chatty" in error["message"]


def test_a_template_that_refuses_the_first_tools_fails_it_by_line(
    context: Context, publish: Callable[..., None], make_job: MakeJob
) -> None:
    publish("{% if tools %}{{ raise_exception('no tools') }}{% endif %}" + CHATML)
    job_id = make_job(1, 2, tools=[{"type": "function", "function": {"name": "f"}}])
    status, error = after_check(context, job_id)
    assert status == "failed"
    assert error is not None
    assert error["message"].startswith("training_file: line 1: ")
    assert "no tools" in error["message"]


def test_what_takes_more_memory_than_there_is_here_is_left_to_the_trainer(
    context: Context, publish: Callable[..., None], make_job: MakeJob
) -> None:
    begin, double = "{% set all = namespace(text='a') %}", "{% set all.text = all.text ~ all.text %}"
    publish(begin + "{% for i in range(40) %}" + double + "{% endfor %}" + CHATML)
    assert after_check(context, make_job(1)) == ("queued", None)


def test_a_name_that_stands_for_a_model_is_that_model(
    context: Context, publish: Callable[..., None], make_job: MakeJob
) -> None:
    publish()
    job_id = make_job(500, max_length=100)
    with session_scope(context.engine) as session:
        session.execute(update(Job).values(model="an-alias-of-the-api"))
    assert after_check(context, job_id)[0] == "failed"


def test_answers_that_fill_the_context_fail_it(
    context: Context, publish: Callable[..., None], make_job: MakeJob
) -> None:
    publish()
    status, error = after_check(context, make_job(1, max_completion_tokens=CONTEXT))
    assert status == "failed"
    assert error is not None
    assert error["param"] == "method.reinforcement.max_completion_tokens"
    assert f"{CONTEXT} were asked for, but the model's context is {CONTEXT}" in error["message"]


@pytest.fixture
def small_judge(context: Context, project: ProjectKey, tmp_path: Path) -> str:
    """The name of a reward model, with full weights, that reads fewer tokens than the tiny model."""
    card, prefix = write_card(tmp_path / "judge"), "orgs/test/judge/"
    facts = json.loads((card / "facts.json").read_text())
    (card / "facts.json").write_text(json.dumps(facts | {"context": 200}))
    folder = Folder(prefix, context.storage.put_folder(prefix, card))
    method = {"type": "reward_model", "reward_model": {"weights": "full"}}
    with session_scope(context.engine) as session:
        return make_model(session, project.owner, folder=folder, model=TINY.id, method=method)


def test_a_reward_model_that_reads_less_than_prompts_and_answers_may_have_fails_it(
    context: Context, publish: Callable[..., None], make_job: MakeJob, small_judge: str
) -> None:
    publish()
    options: dict[str, Any] = {"reward_models": [small_judge], "max_completion_tokens": 100}
    fits = 100 - AROUND
    assert after_check(context, make_job(1, fits, **options)) == ("queued", None)
    for files in ((1, fits + 1), (1,)):
        job_id = make_job(*files, validation=[fits + 1] if len(files) == 1 else None, **options)
        status, error = after_check(context, job_id)
        assert status == "failed"
        assert error is not None
        assert (error["code"], error["param"]) == ("invalid_spec", "method.ppo.reward_models[0]")
        assert "it reads 200 tokens, but a prompt and its answer may have 201;" in error["message"]
    dropped = {"max_length": 100 + 1, "long_rows": "drop"}  # of those that are not dropped the longest is not known
    assert after_check(context, make_job(1, fits + 50, **options, **dropped)) == ("queued", None)


def test_what_can_not_be_known_here_is_left_to_the_trainer(
    context: Context, publish: Callable[..., None], make_job: MakeJob
) -> None:
    job_id = make_job(500, max_length=100)
    assert after_check(context, job_id) == ("queued", None)  # there is no card yet
    publish()
    job_id = make_job(500, max_length=100)
    with session_scope(context.engine) as session:
        session.execute(update(File).values(sha256="0" * 64))  # its bytes can't be read
    assert after_check(context, job_id) == ("queued", None)


def test_a_job_that_was_cancelled_meanwhile_stays_so(
    context: Context, publish: Callable[..., None], make_job: MakeJob, project: ProjectKey
) -> None:
    publish()
    job_id = make_job(500, max_length=100)
    with session_scope(context.engine) as session:
        claimed = prompt_checks.claim(session, lease=60)
        assert claimed is not None
        service.cancel(session, owner=project.owner, job_id=job_id)
    with session_scope(context.engine) as session:
        prompt_checks.finish(session, token=claimed[0], lease=60, error={"code": "c", "message": "m", "param": "p"})
    assert stands(context, job_id) == ("cancelled", None)
    job_id = make_job(500, max_length=100)
    with session_scope(context.engine) as session:
        service.cancel(session, owner=project.owner, job_id=job_id)
    assert not prompts.run_next(context, Slot())
    give_back(context.engine, context.settings, Contact(longest_gap=60))
    assert stands(context, job_id) == ("cancelled", None)


def test_no_job_waits_for_a_worker_that_is_lost_and_its_late_verdict_counts_for_nothing(
    context: Context, make_job: MakeJob
) -> None:
    job_id = make_job(1)
    settings = context.settings.model_copy(update={"lease_seconds": 0})
    with session_scope(context.engine) as session:
        claimed = prompt_checks.claim(session, lease=-1)
        assert claimed is not None
    give_back(context.engine, settings, Contact(longest_gap=60))
    assert stands(context, job_id) == ("queued", None)
    with pytest.raises(Replaced), session_scope(context.engine) as session:
        prompt_checks.finish(session, token=claimed[0], lease=60, error={"code": "c", "message": "m", "param": "p"})
    assert stands(context, job_id) == ("queued", None)


@pytest.mark.parametrize(("claimed", "seconds"), [(False, prompt_checks.PATIENCE), (True, prompt_checks.LONGEST)])
def test_no_job_waits_for_long(context: Context, make_job: MakeJob, claimed: bool, seconds: float) -> None:
    job_id = make_job(1)
    with session_scope(context.engine) as session:
        check = prompt_checks.claim(session, lease=60) if claimed else None
    for age, status in ((seconds - 30, "validating_files"), (seconds + 1, "queued")):
        with session_scope(context.engine) as session:
            session.execute(update(PromptCheck).values(created_at=func.now() - timedelta(seconds=age)))
        give_back(context.engine, context.settings, Contact(longest_gap=60))
        with session_scope(context.engine) as session:
            assert session.get_one(Job, job_id).status == status
    assert stands(context, job_id) == ("queued", None)
    if check is not None:
        with pytest.raises(Replaced), session_scope(context.engine) as session:
            prompt_checks.finish(session, token=check[0], lease=60, error=None)
