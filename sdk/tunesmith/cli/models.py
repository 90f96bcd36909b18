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
@pass_state
def list_models(state: State) -> None:
    """List the models that jobs can start from."""
    state.show_many(state.client().models.list(), "id", "owned_by", "base_model", "job_id")


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
