"""Graders."""

from pathlib import Path

import click

from tunesmith.cli.spec_file import read
from tunesmith.cli.state import State, pass_state

GRADER = click.argument("grader", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.group()
def graders() -> None:
    """Graders: how good an answer is, as data in YAML or JSON.

    \b
    $ tunesmith graders validate grader.yaml
    $ tunesmith graders run grader.yaml --sample "It is 1/2." --item row.json
    """


@graders.command()
@GRADER
@pass_state
def validate(state: State, grader: Path) -> None:
    """Check the grader in the file GRADER: its keys, templates, formula and source."""
    checked = state.client().fine_tuning.graders.validate(read(grader, "GRADER"))
    if state.json:
        state.dump(checked.grader)
    else:
        state.line(f"{grader}: usable")


@graders.command()
@GRADER
@click.option("--sample", required=True, help="The answer to grade.")
@click.option(
    "--item",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The row that it answers, as YAML or JSON.",
)
@pass_state
def run(state: State, grader: Path, sample: str, item: Path | None) -> None:
    """Grade one answer with the grader in the file GRADER."""
    row = read(item, "--item") if item else None
    found = state.client().fine_tuning.graders.run(read(grader, "GRADER"), sample, item=row)
    if state.json:
        state.dump(found.model_dump(mode="json"))
        return
    state.line(f"reward       {found.reward:g}")
    for name, value in {**found.sub_rewards, **found.metadata.scores}.items():
        state.line(f"  {name:<20} {value:g}")
    for problem in found.metadata.errors.get("details", []):
        state.line(f"error        {problem}")
