"""Data files."""

from pathlib import Path

import click

from tunesmith.cli.state import State, pass_state

PATH = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def files() -> None:
    """Data files.

    \b
    $ tunesmith files check train.jsonl
    $ FILE=$(tunesmith --format id files upload --wait train.jsonl)
    $ tunesmith files show $FILE
    $ tunesmith files download $FILE copy.jsonl
    """


@files.command()
@click.argument("path", type=PATH)
@click.option("--purpose", default="fine-tune", show_default=True)
@click.option("--expires-after", type=click.IntRange(3600, 2_592_000), help="Seconds after which it is deleted.")
@click.option("--wait", is_flag=True, help="Wait until it is validated.")
@pass_state
def upload(state: State, path: Path, purpose: str, expires_after: int | None, wait: bool) -> None:
    """Upload a file; a large one in parts, which a second call goes on with."""
    client = state.client()
    file = client.files.upload(path, purpose=purpose, expires_after=expires_after)
    state.show(client.files.wait_for_processing(file.id) if wait else file)


@files.command("list")
@click.option("--purpose", help="Only files with this purpose.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many.")
@pass_state
def list_files(state: State, purpose: str | None, limit: int) -> None:
    """List files, newest first."""
    found = state.client().files.list(purpose=purpose, limit=min(limit, 1000))
    state.show_many(found, "id", "filename", "bytes", "rows", "purpose", "status", limit=limit)


@files.command()
@click.argument("file_id")
@pass_state
def show(state: State, file_id: str) -> None:
    """Show a file's state, and what is wrong with it."""
    state.show(state.client().files.retrieve(file_id))


@files.command()
@click.argument("file_id")
@pass_state
def delete(state: State, file_id: str) -> None:
    """Delete a file; jobs that use it keep its bytes until they end."""
    state.show(state.client().files.delete(file_id))


@files.command()
@click.argument("file_id")
@click.argument("path", type=click.Path(path_type=Path))
@pass_state
def download(state: State, file_id: str, path: Path) -> None:
    """Write a file's bytes to PATH, verified."""
    state.line(str(state.client().files.download(file_id, path)))


@files.command()
@click.argument("file_id")
@click.option("--validation-file", help="The id of a file: which rows are in both?")
@pass_state
def report(state: State, file_id: str, validation_file: str | None) -> None:
    """Show what the validation found: faults, lengths, duplicates, personal data, overlap."""
    found = state.client().files.report(file_id, validation_file=validation_file)
    state.show(found)


@files.command()
@click.argument("file_id")
@click.option("--model", required=True, help="Whose template renders the rows.")
@click.option("--offset", type=click.IntRange(0), default=0, show_default=True, help="Rows to skip.")
@click.option("--limit", type=click.IntRange(1, 20), default=3, show_default=True, help="Rows to show.")
@click.option("--max-length", type=click.IntRange(32), help="Tokens after which a row is cut off.")
@pass_state
def preview(state: State, file_id: str, model: str, offset: int, limit: int, max_length: int | None) -> None:
    """Show rows as the model will see them: trained tokens bold and green, masked ones plain, cut ones struck."""
    found = state.client().files.preview(file_id, model=model, offset=offset, limit=limit, max_length=max_length)
    if state.json:
        state.dump([row.model_dump(mode="json") for row in found.data])
        return
    from rich.text import Text

    from tunesmith.text import printable

    console = state.console()
    styles = {"trained": "bold green", "masked": "", "truncated": "strike red"}
    for row in found.data:
        text = Text(f"row {row.row}: {row.trained_tokens} of {row.total_tokens} tokens trained\n", style="dim")
        for token in row.tokens:
            text.append(printable(token.text), style=styles.get(token.state, "dim"))
        console.print(text, end="\n\n", soft_wrap=not console.is_terminal)


@files.command()
@click.argument("path", type=PATH)
@pass_state
def check(state: State, path: Path) -> None:
    """Check a training file on this machine, by the server's own rules, without sending it."""
    from tunesmith.errors import MissingPackage, RulesBroken

    try:
        # What the type checker misses is the survey, which only the server makes.
        from tunesmith.rules.validate import validate  # pyright: ignore[reportUnknownVariableType]

        found = validate(path, name=path.name)
    except ModuleNotFoundError as missing:
        raise MissingPackage(f"files check needs {missing.name}: pip install 'tunesmith[check]'") from None
    if state.json:
        faults = [{"line": fault.line, "field": fault.field, "message": fault.message} for fault in found.faults]
        state.dump({"rows": found.rows, "faults": faults, "fault_count": found.fault_count})
    else:
        for fault in found.faults:
            state.line(str(fault))
    if found.fault_count:
        unseen = found.fault_count - len(found.faults)
        more = f", {unseen} of which are not shown" if unseen else ""
        raise RulesBroken(f"{path}: {found.fault_count} faults in {found.rows} rows{more}")
    if not state.json:
        state.line(f"{path}: {found.rows} rows, all usable")
