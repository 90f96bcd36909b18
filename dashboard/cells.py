"""What tables of several pages show of a job, and of models."""

from urllib.parse import quote

from tunesmith.types import Job

from dashboard.elements import ProgressBar, link


def path_of(list_: str, name: str) -> str:
    """Of the page about one entry of a list, such as `jobs`, whatever stands in its name."""
    return f"/{list_}/{quote(name, safe='')}"


def job_path(job_id: str, tab: str = "") -> str:
    """tab: which of a job's pages, such as `/spec`."""
    return f"{path_of('jobs', job_id)}{tab}"


def job_cell(job: Job) -> None:
    job_link(job.id)


def job_link(job_id: str) -> None:
    link(job_id, job_path(job_id), classes="mono")


def model_cell(name: str) -> None:
    link(name, path_of("models", name), classes="mono break")


def progress_cell(job: Job) -> None:
    ProgressBar().show(job)


def method_of(job: Job) -> str:
    return str((job.method or {}).get("type", ""))


def took(job: Job) -> int | None:
    """Seconds from its first attempt to its end."""
    return None if job.started_at is None or job.finished_at is None else job.finished_at - job.started_at
