"""Models."""

import click

from tunesmith.cli.state import State, pass_state


@click.group()
def models() -> None:
    """Base models, and what jobs made of them.

    \b
    $ tunesmith models list
    $ tunesmith models show tiny-random-llama
    """


@models.command("list")
@click.option("--kind", type=click.Choice(["base", "fine_tuned", "reward_model"]))
@click.option("--search", help="A part of the id, of an alias, of the base model or of the job's id.")
@pass_state
def list_models(state: State, kind: str | None, search: str | None) -> None:
    """List the models that jobs can start from."""
    found = state.client().models.list(kind=kind, search=search)
    state.show_many(found, "id", "owned_by", "base_model", "job_id")


@models.command()
@click.argument("model")
@pass_state
def show(state: State, model: str) -> None:
    """Show a model."""
    state.show(state.client().models.retrieve(model))


@models.command()
@click.argument("model")
@pass_state
def delete(state: State, model: str) -> None:
    """Take a fine-tuned model out of use."""
    state.show(state.client().models.delete(model))
