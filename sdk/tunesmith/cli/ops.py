"""For operators."""

import click

from tunesmith.cli.state import State, pass_state


@click.group()
def ops() -> None:
    """How the deployment is doing; for keys of operators."""


@ops.command()
@pass_state
def workers(state: State) -> None:
    """List the worker processes, and what they are at."""
    state.show_many(
        state.client().ops.workers(), "id", "queue", "alive", "slots", "devices", "memory_bytes", "attempts"
    )


@ops.command()
@pass_state
def queues(state: State) -> None:
    """Show how much waits for each kind of worker, and since when."""
    state.show_many(state.client().ops.queues(), "id", "depth", "running", "oldest_wait")
