"""What every command needs: the client, and how to show what it answers."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console

    from tunesmith import Tunesmith

FORMATS = ("table", "json", "id")
PIPED_WIDTH = 10_000  # characters: whoever reads a pipe expects a row to be one line


@dataclass(frozen=True)
class State:
    """The options that stand before the command."""

    form: str
    profile: str | None
    env_file: Path

    @property
    def json(self) -> bool:
        return self.form == "json"

    def client(self) -> "Tunesmith":
        """The client for the server that the options and the environment name."""
        from tunesmith import Tunesmith
        from tunesmith.env import load_env

        if self.profile is None:
            load_env(self.env_file)
        return Tunesmith(profile=self.profile)

    def console(self, *, errors: bool = False) -> "Console":
        """Where people read; with JSON, standard output belongs to the program that reads it."""
        from rich.console import Console

        console = Console(stderr=errors or self.json)
        if not console.is_terminal:
            console.width = PIPED_WIDTH
        return console

    def show(self, item: "BaseModel", *, told: str | None = None) -> None:
        """One thing: a line for each of its fields that has a value, but for a field that another one tells."""
        if self.form != "table":
            self._for_programs(item.model_dump(mode="json"))
            return
        from tunesmith.cli.cells import cell

        for key, value in item.model_dump(mode="json").items():
            if (text := cell(key, value)) and key not in ("object", told):
                self.line(f"{key:<20} {text}")

    def show_many(self, items: "Iterable[BaseModel]", *columns: str, limit: int | None = None) -> None:
        """A table of so many of them, or a JSON list; columns are names of fields."""
        found = [item.model_dump(mode="json") for item in islice(items, limit)]
        if self.json:
            self.dump(found)
            return
        if self.form == "id":
            for item in found:
                self._for_programs(item)
            return
        from rich.table import Table
        from rich.text import Text

        from tunesmith.cli.cells import cell
        from tunesmith.text import printable

        table = Table(*columns, box=None, pad_edge=False)
        for item in found:
            values = (printable(cell(column, item.get(column))) for column in columns)
            table.add_row(*(Text(value, overflow="fold") for value in values))
        self.console().print(table)

    def _for_programs(self, item: dict[str, Any]) -> None:
        if self.json:
            self.dump(item)
        elif "id" in item:
            self.line(str(item["id"]))
        else:
            raise click.UsageError("what this command shows has no ids: --format id does not go with it")

    def dump(self, value: Any) -> None:
        """JSON, on standard output."""
        click.echo(json.dumps(value, indent=2, ensure_ascii=False))

    def line(self, text: str) -> None:
        """A line on standard output, without anything that steers a terminal."""
        from tunesmith.text import printable

        click.echo(printable(text) if sys.stdout.isatty() else text)

    def text(self, text: str) -> None:
        """Text that has its own line ends, without anything that steers a terminal."""
        from tunesmith.text import printable

        click.echo(printable(text) if sys.stdout.isatty() else text, nl=False)


pass_state = click.make_pass_decorator(State)
