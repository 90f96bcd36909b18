"""Large files, in parts."""

from pathlib import Path

import click

from tunesmith.cli.state import State, pass_state


@click.group()
def uploads() -> None:
    """Large files, sent in parts."""


@uploads.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--purpose", default="fine-tune", show_default=True)
@click.option("--expires-after", type=click.IntRange(3600, 2_592_000), help="Seconds after which the file is deleted.")
@click.option(
    "--part-size", type=click.IntRange(1, 64), default=32, show_default=True, help="MiB; so much memory four times."
)
@pass_state
def send(state: State, path: Path, purpose: str, expires_after: int | None, part_size: int) -> None:
    """Send a file in parts, four at once. Interrupted, the same command sends what is missing."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    with Progress(BarColumn(), DownloadColumn(), TimeRemainingColumn(), console=state.console(errors=True)) as bar:
        task = bar.add_task("upload", total=path.stat().st_size)
        file = state.client().uploads.upload_file(
            path,
            purpose=purpose,
            expires_after=expires_after,
            part_size=part_size * 1024 * 1024,
            on_progress=lambda sent, total: bar.update(task, completed=sent, total=total),
        )
    state.show(file)


@uploads.command()
@click.argument("upload_id")
@pass_state
def cancel(state: State, upload_id: str) -> None:
    """Give an upload up; its parts are thrown away."""
    state.show(state.client().uploads.cancel(upload_id))
