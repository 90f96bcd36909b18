"""What jobs have used."""

from datetime import datetime, timezone

import click

from tunesmith.cli.state import State, pass_state

GROUPS = ("project", "key", "model", "day")
COLUMNS = {"project": "project_id", "key": "api_key_id", "model": "model", "day": "day"}
# What the server sums by where nothing else is asked for.
BY_DEFAULT = ("project", "model", "day")
SUMS = ("jobs", "gpu_seconds", "cpu_seconds", "trained_tokens", "input_bytes", "output_bytes")
DAY = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option("--since", type=DAY, help="The first day, UTC.")
@click.option("--until", type=DAY, help="The day after the last one, UTC.")
@click.option("--by", "groups", type=click.Choice(GROUPS), multiple=True, help="Sum by this; may be repeated.")
@pass_state
def usage(state: State, since: datetime | None, until: datetime | None, groups: tuple[str, ...]) -> None:
    """Show what jobs have used: GPU and CPU seconds, tokens, bytes."""
    found = state.client().usage.list(start_time=_seconds(since), end_time=_seconds(until), group_by=groups or None)
    state.show_many(found, *(COLUMNS[group] for group in groups or BY_DEFAULT), *SUMS)


def _seconds(day: datetime | None) -> int | None:
    return None if day is None else int(day.replace(tzinfo=timezone.utc).timestamp())
