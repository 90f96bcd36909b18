"""Fine-tuning jobs."""

import json
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunesmith.cli import estimate
from tunesmith.cli.spec_file import read
from tunesmith.cli.state import State, pass_state

if TYPE_CHECKING:
    from tunesmith import Job


def parsed(text: str) -> Any:
    """JSON, as an option's value."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise click.BadParameter(f"no JSON: {error}") from None


@click.group()
def jobs() -> None:
    """Fine-tuning jobs.

    \b
    $ JOB=$(tunesmith --format id jobs create --model tiny-random-llama --training-file train.jsonl)
    $ tunesmith jobs wait $JOB
    $ tunesmith --format json jobs show $JOB
    $ tunesmith jobs events --follow $JOB
    $ tunesmith jobs logs $JOB
    $ tunesmith jobs metrics $JOB --name train_loss
    $ tunesmith jobs checkpoints $JOB
    $ tunesmith jobs rollouts $JOB --order-by reward
    $ tunesmith jobs artifacts $JOB
    $ tunesmith jobs download $JOB adapter
    """


@jobs.command()
@click.option(
    "--file",
    "-f",
    "spec_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The spec, as YAML or JSON; other options win over it.",
)
@click.option("--model", help="The model to start from.")
@click.option("--training-file", help="A file's id, or a path that is uploaded first.")
@click.option("--validation-file", help="A file's id, or a path that is uploaded first.")
@click.option("--suffix", help="Part of the new model's name.")
@click.option("--seed", type=int, help="Makes a run repeatable.")
@click.option("--method", type=parsed, metavar="JSON", help='Such as {"type": "supervised", …}')
@click.option("--metadata", multiple=True, help="KEY=VALUE; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Show what it would take, and create nothing; files are uploaded.")
@click.option("--watch", "--wait", "watched", is_flag=True, help="Watch it until it ends.")
@pass_state
def create(
    state: State, spec_file: Path | None, metadata: tuple[str, ...], dry_run: bool, watched: bool, **options: Any
) -> None:
    """Create a job from a spec file, from options, or from both."""
    spec = {**(read(spec_file, "--file") if spec_file else {}), **{k: v for k, v in options.items() if v is not None}}
    if metadata:
        spec["metadata"] = {**(spec.get("metadata") or {}), **dict(_pair(text) for text in metadata)}
    base = spec_file.parent if spec_file else Path()
    for key in ("training_file", "validation_file"):
        if key in spec:
            spec[key] = _file(spec[key], base=Path() if options.get(key) else base)
    client = state.client()
    if dry_run:
        estimate.show(state, client.fine_tuning.jobs.estimate(spec))
        return
    job = client.fine_tuning.jobs.create(spec)
    if watched:
        if not state.json:
            state.line(f"job {job.id}")
        _watch(state, job.id, curve=False)
    else:
        _show(state, job)


def _show(state: State, job: "Job") -> None:
    """A job that has failed tells its faults once."""
    failed = job.error is not None and job.error.message == job.status_reason
    state.show(job, told="status_reason" if failed else None)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"no KEY=VALUE: {text}", param_hint="--metadata")
    return key, value


def _file(text: Any, *, base: Path) -> Any:
    """A file's id as it is; else the path, which a spec names from its own folder."""
    if not isinstance(text, str) or text.startswith("file-"):
        return text
    if not (base / text).is_file():
        raise click.BadParameter(f"{text!r} is neither the id of a file (file-…) nor a file in {base.resolve()}")
    return base / text


@jobs.command("list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@click.option("--metadata", multiple=True, help="KEY=VALUE that the jobs must have; may be repeated.")
@click.option("--status", multiple=True, help="Such as running; may be repeated.")
@click.option("--method", multiple=True, help="Such as dpo; may be repeated.")
@click.option("--model", help="What they were asked for with, or the base model that they run on.")
@click.option("--project-id", help="For operators: the jobs of that project.")
@click.option("--from-job", help="Those that start from a model that this job made, or are rewarded by one.")
@click.option("--search", help="Part of an id, a model's name, the suffix, the metadata or an error's message.")
@pass_state
def list_jobs(
    state: State, limit: int, metadata: tuple[str, ...], status: tuple[str, ...], method: tuple[str, ...], **wanted: Any
) -> None:
    """List jobs, newest first."""
    found = state.client().fine_tuning.jobs.list(
        limit=min(limit, 100),
        metadata=dict(_pair(text) for text in metadata) or None,
        status=status or None,
        method=method or None,
        **wanted,
    )
    state.show_many(found, "id", "status", "model", "step", "total_steps", "fine_tuned_model", limit=limit)


@jobs.command()
@click.argument("job_id")
@pass_state
def show(state: State, job_id: str) -> None:
    """Show a job's state."""
    _show(state, state.client().fine_tuning.jobs.retrieve(job_id))


@jobs.command()
@click.argument("job_id")
@pass_state
def cancel(state: State, job_id: str) -> None:
    """Cancel a job at once, wherever it is."""
    _show(state, state.client().fine_tuning.jobs.cancel(job_id))


@jobs.command()
@click.argument("job_id")
@pass_state
def pause(state: State, job_id: str) -> None:
    """Pause a job: at once where it is queued, after a checkpoint where it runs."""
    _show(state, state.client().fine_tuning.jobs.pause(job_id))


@jobs.command()
@click.argument("job_id")
@pass_state
def resume(state: State, job_id: str) -> None:
    """Queue a paused job again; it goes on from its last checkpoint."""
    _show(state, state.client().fine_tuning.jobs.resume(job_id))


@jobs.command()
@click.argument("job_id")
@pass_state
def watch(state: State, job_id: str) -> None:
    """Watch a job until it ends, with its loss curve; Ctrl-C leaves it running."""
    _watch(state, job_id, curve=True)


@jobs.command()
@click.argument("job_id")
@pass_state
def wait(state: State, job_id: str) -> None:
    """Watch a job until it ends, without the curve; Ctrl-C leaves it running."""
    _watch(state, job_id, curve=False)


def _watch(state: State, job_id: str, *, curve: bool) -> None:
    from tunesmith.errors import JobFailedError

    job = state.client().fine_tuning.jobs.watch(job_id, console=state.console(), curve=curve)
    if state.json:
        state.dump(job.model_dump(mode="json"))
    if job.status != "succeeded":
        raise JobFailedError(job)
    if not state.json:
        state.line(f"model {job.fine_tuned_model}")


@jobs.command()
@click.argument("job_id")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="The latest so many; with -f, to begin with.",
)
@pass_state
def events(state: State, job_id: str, follow: bool, limit: int) -> None:
    """Show what happened to a job, oldest first."""
    found = state.client().fine_tuning.jobs.events
    if not follow:
        latest = [*islice(found.list(job_id, limit=min(limit, 100)), limit)]
        state.show_many(latest[::-1], "seq", "level", "message")
        return
    last = max((event.seq for event in found.list(job_id, limit=1).data), default=0)
    for event in found.stream(job_id, after=max(0, last - limit)):
        state.line(event.model_dump_json() if state.json else f"{event.seq:>5} {event.level:<5} {event.message}")


@jobs.command()
@click.argument("job_id")
@pass_state
def attempts(state: State, job_id: str) -> None:
    """List workers' tries at a job, the latest first."""
    found = state.client().fine_tuning.jobs.attempts.list(job_id, limit=100)
    state.show_many(found, "id", "number", "worker", "started_at", "ended_at", "outcome", "detail")


@jobs.command()
@click.argument("job_id")
@click.option("--follow", "-f", is_flag=True, help="Go on until the job has ended.")
@pass_state
def logs(state: State, job_id: str, follow: bool) -> None:
    """Show the trainers' own output, oldest first."""
    log = state.client().fine_tuning.jobs.logs
    for piece in log.follow(job_id) if follow else log.list(job_id):
        if state.json:
            state.line(piece.model_dump_json())
        else:
            state.text(piece.text)


@jobs.command()
@click.argument("job_id")
@click.option("--name", "names", multiple=True, help="A figure such as train_loss; may be repeated. Else: all.")
@click.option("--max-points", type=click.IntRange(1), default=200, show_default=True, help="Of each series.")
@pass_state
def metrics(state: State, job_id: str, names: tuple[str, ...], max_points: int) -> None:
    """Draw a job's figures over its steps."""
    found = state.client().fine_tuning.jobs.metrics.retrieve(job_id, names=names or None, max_points=max_points)
    if state.json:
        state.dump(found.model_dump(mode="json"))
        return
    from tunesmith.chart import curves

    console = state.console()
    for name, series in found.series.items():
        console.print(curves({name: series}, width=min(console.width, 100), height=8), "")


@jobs.command()
@click.argument("job_id")
@pass_state
def checkpoints(state: State, job_id: str) -> None:
    """List a job's checkpoints, latest first."""
    found = state.client().fine_tuning.jobs.checkpoints.list(job_id)
    state.show_many(found, "step_number", "fine_tuned_model_checkpoint")


@jobs.command()
@click.argument("job_id")
@click.option("--step", type=click.IntRange(0), help="Of this step alone.")
@click.option("--min-reward", type=float, help="Worth at least so much.")
@click.option("--max-reward", type=float, help="Worth at most so much.")
@click.option("--min-advantage", type=float, help="Better than expected by at least so much.")
@click.option("--max-advantage", type=float, help="Better than expected by at most so much.")
@click.option("--min-completion-tokens", type=click.IntRange(0), help="At least so long.")
@click.option("--max-completion-tokens", type=click.IntRange(0), help="At most so long.")
@click.option("--grader", help="Those that have this one of their rewards.")
@click.option("--min-grader-reward", type=float, help="Worth at least so much by that grader.")
@click.option("--max-grader-reward", type=float, help="Worth at most so much by that grader.")
@click.option("--truncated/--not-truncated", default=None, help="Those that were cut off, or those that were not.")
@click.option("--failed/--graded", default=None, help="Those that could not be graded, or those that could.")
@click.option("--row", type=click.IntRange(0), help="Answers to this row of the training file, from 0.")
@click.option("--text", "q", help="Part of the prompt or the completion, in any case.")
@click.option(
    "--order-by",
    type=click.Choice(["step", "reward", "advantage", "completion_tokens", "grader_reward"]),
    default="step",
    show_default=True,
)
@click.option("--order", type=click.Choice(["asc", "desc"]), default="desc", show_default=True)
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@pass_state
def rollouts(state: State, job_id: str, limit: int, **wanted: Any) -> None:
    """Show answers that a ppo or reinforcement job has learnt from, and what they were worth."""
    found = state.client().fine_tuning.jobs.rollouts.list(job_id, limit=min(limit, 100), **wanted)
    columns = ("step", "row", "reward", "advantage", "completion_tokens", "completion", "error")
    state.show_many(found, *columns, limit=limit)


@jobs.command()
@click.argument("job_id")
@pass_state
def artifacts(state: State, job_id: str) -> None:
    """List the files that a job yielded."""
    state.show_many(state.client().fine_tuning.jobs.artifacts.list(job_id), "name", "bytes", "sha256")


@jobs.command()
@click.argument("job_id")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", "names", multiple=True, help="One of the artifacts; may be repeated. Else: all.")
@click.option("--step", type=int, help="Those of the checkpoint after that step.")
@pass_state
def download(state: State, job_id: str, folder: Path, names: tuple[str, ...], step: int | None) -> None:
    """Download a job's artifacts, verified; what broke off is gone on with."""
    for path in state.client().fine_tuning.jobs.artifacts.download(job_id, folder, names=names or None, step=step):
        state.line(str(path))


@jobs.command()
@click.argument("job_id")
@pass_state
def samples(state: State, job_id: str) -> None:
    """Did it get better? Show completions of validation rows, or a reward model's scores, before and after."""
    from tunesmith import samples

    rows = [*state.client().fine_tuning.jobs.samples(job_id, limit=100)]
    if state.json:
        state.dump([row.model_dump() for row in rows])
        return
    none = "No samples: jobs that validate have some when they succeed."
    state.console().print(samples.table(rows) if rows else none)
    for what, (before, after) in samples.figures(rows).items():
        state.line(f"{what}: {before:.0%} → {after:.0%}")
