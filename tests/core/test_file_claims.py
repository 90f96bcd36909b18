"""Validation of files: claimed once, fenced, and given back when its worker is lost."""

from datetime import timedelta
from typing import Any, get_args

import pytest
from sqlalchemy import func
from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.files import claims
from core.leases import Limits, Replaced
from core.models import File
from core.rows.kinds import Kind
from core.specs.method import USABLE_KINDS
from tests.conftest import ProjectKey
from tests.core.factories import make_file, make_job

LIMITS = Limits(lease=0, max_losses=2, max_faults=9)


@pytest.fixture
def file(session: Session, project: ProjectKey) -> File:
    return make_file(session, project.owner, status="uploaded")


def claim(session: Session) -> int:
    file = claims.claim(session, lease=60)
    assert file is not None
    session.flush()
    session.refresh(file)
    return file.token or 0


def lose(session: Session, file: File) -> None:
    file.lease_expires_at = func.now() - timedelta(seconds=1)
    session.flush()
    assert claims.reap(session, limits=LIMITS) == 1
    session.flush()


def test_a_file_is_claimed_once(session: Session, file: File) -> None:
    claim(session)
    assert claims.claim(session, lease=60) is None
    assert claims.reap(session, limits=LIMITS) == 0


def test_a_file_whose_bytes_are_purged_is_not_claimed(session: Session, file: File) -> None:
    file.purged_at = func.now()
    session.flush()
    assert claims.claim(session, lease=60) is None


def test_a_stale_verdict_is_refused(session: Session, file: File) -> None:
    stale = claim(session)
    lose(session, file)
    current = claim(session)
    assert current > stale
    for write in (
        lambda: claims.heartbeat(session, token=stale, lease=60),
        lambda: claims.finish(session, token=stale, lease=60, rows=None, fault="wrong"),
        lambda: claims.release(session, token=stale, lease=60, limits=LIMITS, reason="store"),
    ):
        with pytest.raises(Replaced):
            write()
    claims.finish(session, token=current, lease=60, rows=3, fault=None)
    assert (file.status, file.rows, file.status_details) == ("processed", 3, None)


def test_a_file_that_kills_its_validators_is_refused_in_the_end(session: Session, file: File) -> None:
    for _ in range(LIMITS.max_losses):
        claim(session)
        lose(session, file)
    assert file.status == "error"
    assert "validation failed 2 times, most recently: its worker was lost" in (file.status_details or "")


@pytest.mark.parametrize(("fault", "status"), [(None, "queued"), ("line 1: no JSON", "failed")])
def test_the_verdict_moves_the_jobs_that_waited(
    session: Session, project: ProjectKey, fault: str | None, status: str
) -> None:
    job = make_job(session, project.owner, file_status="uploaded")
    assert job.status == "validating_files"
    claims.finish(session, token=claim(session), lease=60, rows=1, fault=fault)
    session.flush()
    session.refresh(job)
    assert job.status == status
    if fault:
        assert (job.error or {})["param"] == "training_file"
        assert fault in (job.error or {})["message"]


@pytest.mark.parametrize(("kind", "status"), [("messages", "queued"), (None, "queued"), ("preferences", "failed")])
def test_a_job_whose_method_cannot_learn_from_the_rows_fails(
    session: Session, project: ProjectKey, kind: str | None, status: str
) -> None:
    job = make_job(session, project.owner, file_status="uploaded")
    claims.finish(session, token=claim(session), lease=60, rows=1, fault=None, report={"kind": kind})
    session.flush()
    session.refresh(job)
    assert job.status == status
    if status == "failed":
        error = job.error or {}
        assert error["param"] == "training_file"
        assert "rows of the form preferences, but method supervised learns from messages" in error["message"]


def test_every_kind_of_row_has_a_method_that_learns_from_it() -> None:
    assert set(get_args(Kind)) == {kind for kinds in USABLE_KINDS.values() for kind in kinds}


def verdict(session: Session, owner: Owner, report: dict[str, Any], **spec: Any) -> dict[str, Any] | None:
    """The error of a job whose file of 3 bytes turns out to be such a text."""
    job = make_job(session, owner, file_status="uploaded", **spec)
    found = {"kind": "text", "rows": 1, **report}
    claims.finish(session, token=claim(session), lease=60, rows=1, fault=None, report=found)
    session.flush()
    session.refresh(job)
    assert job.status == ("failed" if job.error else "queued")
    return job.error


@pytest.mark.parametrize(
    ("report", "tokenizer", "supported"),
    [
        ({"format": "txt"}, {"type": "bpe", "vocab_size": 263}, 262),
        ({"format": "txt"}, {"type": "bpe", "vocab_size": 262}, None),
        ({"format": "parquet", "characters": {"total": 3}}, {"type": "characters", "vocab_size": 17}, 16),
        ({"format": "parquet", "characters": {"total": 3}}, {"type": "characters", "vocab_size": 16}, None),
        ({"format": "parquet", "characters": {"mean": 3}}, {"type": "characters", "vocab_size": 99}, None),
        ({"format": "txt"}, {"type": "characters"}, None),
    ],
)
def test_a_vocabulary_that_the_text_cannot_have_is_refused(
    session: Session, project: ProjectKey, report: dict[str, Any], tokenizer: dict[str, Any], supported: int | None
) -> None:
    method = {"type": "initialization", "initialization": {"tokenizer": tokenizer}}
    error = verdict(session, project.owner, report, model=None, method=method)
    assert (error is None) == (supported is None)
    if error:
        assert error["param"] == "method.initialization.tokenizer.vocab_size"
        assert error["message"].startswith(f"{error['param']}: given {tokenizer['vocab_size']}, but")
        assert error["message"].endswith(f"supports {supported} at most")


@pytest.mark.parametrize(
    ("report", "max_length", "most"),
    [
        ({"format": "jsonl"}, 64, 6),
        ({"format": "jsonl.gz", "characters": {"total": 14}}, 64, 59),
        ({"format": "jsonl.gz", "characters": {"total": 15}}, 64, None),
        ({"format": "jsonl.gz"}, 64, None),  # a report of an earlier version
        ({"format": "jsonl"}, "auto", None),  # the context of a model of the catalogue is the trainer's to know
    ],
)
def test_a_text_that_fills_no_sequence_is_refused(
    session: Session, project: ProjectKey, report: dict[str, Any], max_length: Any, most: int | None
) -> None:
    method = {"type": "pretraining", "pretraining": {"max_length": max_length}}
    error = verdict(session, project.owner, report, method=method)
    assert (error or {}).get("param") == (most and "training_file")
    if error:
        assert f"at most {most} tokens, but one sequence has 64 (method.pretraining.max_length)" in error["message"]
