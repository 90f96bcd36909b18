"""Webhooks."""

import click

from tunesmith.cli.state import State, pass_state

EVENT_TYPES = tuple(f"fine_tuning.job.{end}" for end in ("succeeded", "failed", "cancelled"))
ENDPOINT_COLUMNS = ("id", "name", "status", "url", "event_types")
DELIVERY_COLUMNS = ("id", "event_type", "job_id", "status", "tries", "status_code", "reason", "next_try_at")


@click.group()
def webhooks() -> None:
    """URLs that are told when jobs end.

    \b
    $ tunesmith webhooks create releases https://ci.example/hooks/tunesmith
    $ ENDPOINT=$(tunesmith --format id webhooks list)
    $ tunesmith webhooks rotate-secret --keep-old $ENDPOINT
    $ tunesmith webhooks deliveries $ENDPOINT
    """


@webhooks.command("list")
@pass_state
def list_webhooks(state: State) -> None:
    """List the project's endpoints."""
    state.show_many(state.client().webhook_endpoints.list(), *ENDPOINT_COLUMNS)


@webhooks.command()
@click.argument("name")
@click.argument("url")
@click.option(
    "--event",
    "events",
    type=click.Choice(EVENT_TYPES),
    multiple=True,
    default=EVENT_TYPES,
    help="What to tell; may be repeated. Without it: all of them.",
)
@pass_state
def create(state: State, name: str, url: str, events: tuple[str, ...]) -> None:
    """Have the ends of jobs told to a URL. The signing secret is shown this once."""
    state.show(state.client().webhook_endpoints.create(name=name, url=url, event_types=events))


@webhooks.command()
@click.argument("endpoint_id")
@pass_state
def delete(state: State, endpoint_id: str) -> None:
    """Delete an endpoint; what it has not been told yet, it never will be."""
    state.show(state.client().webhook_endpoints.delete(endpoint_id))


@webhooks.command("rotate-secret")
@click.argument("endpoint_id")
@click.option("--keep-old", is_flag=True, help="The old secret goes on signing, beside the new one, for 24 hours.")
@pass_state
def rotate_secret(state: State, endpoint_id: str, keep_old: bool) -> None:
    """Make a new signing secret, which is shown this once."""
    endpoints = state.client().webhook_endpoints
    state.show(endpoints.rotate_secret(endpoint_id, keep_old_secret_active_for_24_hours=keep_old))


@webhooks.command()
@click.argument("endpoint_id")
@click.option("--event", type=click.Choice(EVENT_TYPES), default=EVENT_TYPES[0], show_default=True)
@pass_state
def test(state: State, endpoint_id: str, event: str) -> None:
    """Send a sample event, and show what the receiver answers."""
    state.show(state.client().webhook_endpoints.test(endpoint_id, event_type=event))


@webhooks.command()
@click.argument("endpoint_id")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@pass_state
def deliveries(state: State, endpoint_id: str, limit: int) -> None:
    """List what an endpoint was told in the last week, or is still to be told."""
    found = state.client().webhook_endpoints.deliveries(endpoint_id, limit=min(limit, 100))
    state.show_many(found, *DELIVERY_COLUMNS, limit=limit)
