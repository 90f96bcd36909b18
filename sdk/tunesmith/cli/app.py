"""`tunesmith`: the API from a terminal."""

import sys
from pathlib import Path
from typing import NoReturn

import click
from click.core import ParameterSource

from tunesmith.cli import files, graders, jobs, login, models, ops, uploads, usage, webhooks
from tunesmith.cli.state import FORMATS, State

# Exit statuses, beside 0 for success and click's own 2 for wrong usage.
OTHER, NO_SERVER, NO_ACCESS, NOT_FOUND, REFUSED, RATE_LIMITED, SERVER_PROBLEM, FAILED = 1, 3, 4, 5, 6, 7, 8, 9
INTERRUPTED = 130
EPILOG = """\b
Exit status:
  0    done
  1    something else went wrong
  2    wrong usage of the command line
  3    the server does not answer
  4    the key is missing, not known, or may not do this
  5    there is no such thing
  6    the server refuses the request
  7    too many requests
  8    the server has a problem
  9    the job failed, or the file is not usable
  130  interrupted with Ctrl-C"""


@click.group(epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    help="Tables for people, JSON for programs, ids for scripts.",
)
@click.option("--profile", help="The server to talk to, as `tunesmith login` named it.")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    default=".tunesmith/env",
    show_default=True,
    help="KEY=value lines, as a stack on this machine writes them; the real environment wins. Unused with --profile.",
)
@click.version_option(package_name="tunesmith")
@click.pass_context
def app(context: click.Context, form: str, profile: str | None, env_file: Path) -> None:
    """Client of a Tunesmith service.

    The server and the key come from TUNESMITH_BASE_URL and TUNESMITH_API_KEY, then from --env-file, then from the
    profile that TUNESMITH_PROFILE or `tunesmith login` names.
    """
    given = context.get_parameter_source("env_file") is ParameterSource.COMMANDLINE
    if given and not env_file.is_file():
        raise click.BadParameter(f"there is no file {env_file}", param_hint="--env-file")
    context.obj = State(form=form, profile=profile, env_file=env_file)


for group in (
    files.files,
    uploads.uploads,
    jobs.jobs,
    graders.graders,
    models.models,
    webhooks.webhooks,
    ops.ops,
    login.profiles,
):
    app.add_command(group)
for command in (usage.usage, login.login, login.completion):
    app.add_command(command)


def main() -> NoReturn:
    """Run the command line; ends the process, with an exit status by the class of error."""
    try:
        sys.exit(app.main(_format_first(sys.argv[1:]), prog_name="tunesmith", standalone_mode=False))
    except click.exceptions.Abort:
        sys.exit(INTERRUPTED)
    except click.ClickException as wrong:
        wrong.show()
        sys.exit(wrong.exit_code)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has seen enough, as `head` does; the rest must not be flushed into it at exit.
        sys.stdout = None
        sys.exit(0)
    except Exception as error:
        sys.exit(_report(error))


def _format_first(arguments: list[str]) -> list[str]:
    """`--format` belongs to the program, and works behind the verb as well: that is where people write it."""
    for at, argument in enumerate(arguments):
        if argument == "--":
            break
        if argument.partition("=")[0] == "--format":
            end = at + (1 if "=" in argument else 2)
            return [*arguments[at:end], *arguments[:at], *arguments[end:]]
    return arguments


def _report(error: Exception) -> int:
    """Say what is wrong, in a line, and answer the exit status. What nobody expects keeps its traceback."""
    from tunesmith.errors import TunesmithError
    from tunesmith.text import printable

    if not isinstance(error, TunesmithError | OSError):
        raise error
    click.echo(f"tunesmith: {printable(str(error))}", err=True)
    return _status(error)


def _status(error: Exception) -> int:
    from tunesmith import errors

    for kind, status in (
        (errors.APIConnectionError, NO_SERVER),
        (errors.AuthenticationError, NO_ACCESS),
        (errors.PermissionDeniedError, NO_ACCESS),
        (errors.ConfigurationError, NO_ACCESS),
        (errors.NotFoundError, NOT_FOUND),
        (errors.RateLimitError, RATE_LIMITED),
        (errors.InternalServerError, SERVER_PROBLEM),
        (errors.APIStatusError, REFUSED),
        (errors.JobFailedError, FAILED),
        (errors.FileRejectedError, FAILED),
        (errors.RulesBroken, FAILED),
    ):
        if isinstance(error, kind):
            return status
    return OTHER
