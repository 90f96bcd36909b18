"""Profiles: which server, with which key."""

from typing import TYPE_CHECKING

import click

from tunesmith.cli.state import State, pass_state

if TYPE_CHECKING:
    from tunesmith.profiles import Profiles


@click.command()
@click.option("--base-url", prompt="Base URL", default="http://127.0.0.1:8000/v1", help="Where the API is.")
@click.option(
    "--api-key",
    prompt="API key",
    hide_input=True,
    help="Better not given here, where a shell's history keeps it: it is asked for.",
)
@click.option("--profile", "name", help="The name to keep them under; else that of the option before the command.")
@pass_state
def login(state: State, base_url: str, api_key: str, name: str | None) -> None:
    """Keep a server and a key under a name, in a file that only you can read, after trying them."""
    from tunesmith import Tunesmith
    from tunesmith.profiles import DEFAULT_NAME, SCHEMES, Profile, config_path, load, save

    if not base_url.startswith(SCHEMES):
        written = " or ".join(f"{scheme}{base_url}" for scheme in SCHEMES)
        raise click.BadParameter(f"{base_url} has no scheme: write {written}", param_hint="--base-url")
    name = name or state.profile or DEFAULT_NAME
    with Tunesmith(base_url=base_url, api_key=api_key) as client:
        client.models.list()
    kept = load()
    kept.by_name[name] = Profile(base_url, api_key)
    if kept.default not in kept.by_name:
        kept.default = name
    save(kept)
    state.line(f"profile {name} is in {config_path()}{', and the default' if kept.default == name else ''}")


@click.group("profiles")
def profiles() -> None:
    """The servers that you have logged in to."""


@profiles.command("list")
@pass_state
def list_profiles(state: State) -> None:
    """List them, without their keys."""
    from tunesmith.profiles import load

    kept = load()
    if state.json:
        found = kept.by_name.items()
        state.dump([{"name": n, "base_url": p.base_url, "default": n == kept.default} for n, p in found])
        return
    for name, profile in kept.by_name.items():
        state.line(f"{'*' if name == kept.default else ' '} {name:<20} {profile.base_url}")


@profiles.command()
@click.argument("name")
@pass_state
def use(state: State, name: str) -> None:
    """Take this one where none is named."""
    from tunesmith.profiles import save

    kept = _holding(name)
    kept.default = name
    save(kept)
    state.line(f"{name} is the default now")


@profiles.command()
@click.argument("name")
@pass_state
def remove(state: State, name: str) -> None:
    """Forget this one, and its key."""
    from tunesmith.profiles import save

    kept = _holding(name)
    del kept.by_name[name]
    left = [*kept.by_name]
    if kept.default == name and len(left) == 1:
        kept.default = left[0]
    save(kept)
    state.line(f"{name} is forgotten")
    if left and kept.default == name:
        state.line(f"there is no default now; choose one with tunesmith profiles use: {', '.join(left)}")
    elif left:
        state.line(f"{kept.default} is the default")


def _holding(name: str) -> "Profiles":
    from tunesmith.profiles import load

    kept = load()
    if name not in kept.by_name:
        raise click.BadParameter(f"there is no profile {name!r}; there are: {', '.join(kept.by_name) or 'none'}")
    return kept


@click.command()
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
@pass_state
def completion(state: State, shell: str) -> None:
    """Print the script that completes commands: eval "$(tunesmith completion bash)"."""
    from click.shell_completion import get_completion_class

    from tunesmith.cli.app import app

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(app, {}, "tunesmith", "_TUNESMITH_COMPLETE").source())
