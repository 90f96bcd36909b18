"""The command line, `tunesmith`. Nothing but click is imported before a command runs: `--help` is to be quick."""

from tunesmith.cli.app import main

__all__ = ["main"]
