"""`tunesmith`: the API from a terminal. Exit status: 0 well, 1 refused or failed, 2 wrong usage, 3 no server."""

import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from tunesmith import samples
from tunesmith.client import Tunesmith
from tunesmith.env import load_env
from tunesmith.errors import APIConnectionError, APIStatusError, TunesmithError
from tunesmith.progress import watch

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Client of Tunesmith.")
files = typer.Typer(no_args_is_help=True, help="Data files.")
jobs = typer.Typer(no_args_is_help=True, help="Fine-tuning jobs.")
models = typer.Typer(no_args_is_help=True, help="Models.")
for name, group in (("files", files), ("jobs", jobs), ("models", models)):
    app.add_typer(group, name=name)

out = Console()
options: dict[str, Any] = {"format": "table"}


@app.callback()
def configure(
    env_file: Annotated[Path, typer.Option(help="KEY=value lines; the real environment wins.")] = Path(
        ".tunesmith/env"
    ),
    format: Annotated[str, typer.Option(help="table or json")] = "table",
) -> None:
    load_env(env_file)
    options["format"] = format


def show(item: BaseModel) -> None:
    if options["format"] == "json":
        out.print_json(item.model_dump_json())
        return
    for key, value in item.model_dump().items():
        if value not in (None, [], {}):
            out.print(f"{key:<20} {value}", highlight=False, markup=False)


def show_many(items: Iterable[BaseModel], *columns: str) -> None:
    found = list(items)
    if options["format"] == "json":
        out.print_json(json.dumps([item.model_dump() for item in found]))
        return
    table = Table(*columns)
    for item in found:
        table.add_row(*(str(getattr(item, column)) for column in columns))
    out.print(table)


@files.command("upload")
def upload_file(path: Path, purpose: str = "fine-tune") -> None:
    show(Tunesmith().files.create(file=path, purpose=purpose))


@files.command("list")
def list_files() -> None:
    show_many(Tunesmith().files.list(), "id", "filename", "bytes", "purpose", "status")


@files.command("show")
def show_file(file_id: str) -> None:
    show(Tunesmith().files.retrieve(file_id))


@files.command("delete")
def delete_file(file_id: str) -> None:
    Tunesmith().files.delete(file_id)


@files.command("download")
def download_file(file_id: str, path: Path) -> None:
    path.write_bytes(Tunesmith().files.content(file_id))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"no JSON: {error}") from None


@jobs.command("create")
def create_job(
    model: Annotated[str, typer.Option()],
    training_file: Annotated[str, typer.Option(help="A file id, or a path that is uploaded first.")],
    validation_file: Annotated[str | None, typer.Option(help="A file id, or a path.")] = None,
    suffix: str | None = None,
    seed: int | None = None,
    method: Annotated[Any, typer.Option(parser=_json, help='JSON, {"type": "supervised", …}')] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Watch it until it ends.")] = False,
) -> None:
    client = Tunesmith()
    spec: dict[str, Any] = {"suffix": suffix, "seed": seed, "method": method}
    spec["validation_file"] = _file_id(client, validation_file) if validation_file else None
    given = {key: value for key, value in spec.items() if value is not None}
    job = client.fine_tuning.jobs.create(model=model, training_file=_file_id(client, training_file), **given)
    show(job)
    if wait:
        _watch(client, job.id)


def _file_id(client: Tunesmith, text: str) -> str:
    return client.files.create(file=text).id if Path(text).is_file() else text


@jobs.command("list")
def list_jobs(limit: int = 20) -> None:
    found = (job for job, _ in zip(Tunesmith().fine_tuning.jobs.list(limit=limit), range(limit), strict=False))
    show_many(found, "id", "status", "model", "step", "total_steps", "fine_tuned_model")


@jobs.command("show")
def show_job(job_id: str) -> None:
    show(Tunesmith().fine_tuning.jobs.retrieve(job_id))


@jobs.command("cancel")
def cancel_job(job_id: str) -> None:
    show(Tunesmith().fine_tuning.jobs.cancel(job_id))


@jobs.command("pause")
def pause_job(job_id: str) -> None:
    show(Tunesmith().fine_tuning.jobs.pause(job_id))


@jobs.command("resume")
def resume_job(job_id: str) -> None:
    show(Tunesmith().fine_tuning.jobs.resume(job_id))


@jobs.command("events")
def list_events(job_id: str) -> None:
    show_many(list(Tunesmith().fine_tuning.jobs.events(job_id))[::-1], "seq", "level", "message")


@jobs.command("checkpoints")
def list_checkpoints(job_id: str) -> None:
    show_many(Tunesmith().fine_tuning.jobs.checkpoints(job_id), "step_number", "fine_tuned_model_checkpoint")


@jobs.command("wait")
def wait_for_job(job_id: str) -> None:
    _watch(Tunesmith(), job_id)


def _watch(client: Tunesmith, job_id: str) -> None:
    job = watch(client, job_id, out)
    if job.status != "succeeded":
        raise TunesmithError(f"job {job.id} {job.status}: {job.error.message if job.error else job.status_reason}")


@jobs.command("download")
def download_artifacts(job_id: str, folder: Path) -> None:
    for path in Tunesmith().fine_tuning.jobs.download(job_id, folder):
        out.print(str(path), highlight=False)


@jobs.command("samples")
def show_samples(job_id: str, folder: Path = Path(".tunesmith/samples")) -> None:
    paths = Tunesmith().fine_tuning.jobs.download(job_id, folder / job_id, names=["samples.jsonl"])
    rows = samples.load(paths[0])
    out.print(samples.table(rows))
    before, after = samples.exact_match(rows)
    out.print(f"exact match: {before:.0%} → {after:.0%}")


@models.command("list")
def list_models() -> None:
    show_many(Tunesmith().models.list(), "id", "owned_by", "base_model")


@models.command("show")
def show_model(model: str) -> None:
    show(Tunesmith().models.retrieve(model))


def main(run: Callable[[], Any] = app) -> None:
    errors = Console(stderr=True)
    try:
        run()
    except APIConnectionError as error:
        errors.print(f"no server: {error}", markup=False)
        sys.exit(3)
    except APIStatusError as error:
        errors.print(f"{error.message} (status {error.status_code}, request {error.request_id})", markup=False)
        sys.exit(1)
    except (TunesmithError, OSError) as error:
        errors.print(str(error), markup=False)
        sys.exit(1)
