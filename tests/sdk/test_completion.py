"""Completion in the shells that are installed, as somebody who presses the tabulator sees it."""

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROMPT = "ready> "
BASH = ["bash", "--norc", "--noprofile", "-i"]
ZSH = ["zsh", "-f", "-i"]
ZSH_BEGINS = "autoload -Uz compinit; compinit -u -D"


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Where `tunesmith` is a command, whatever else is installed."""
    command = tmp_path / "bin" / "tunesmith"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m tunesmith "$@"\n')
    command.chmod(0o755)
    return {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "PS1": PROMPT, "TERM": "dumb"}


def typed(shell: list[str], lines: list[str], env: dict[str, str]) -> str:
    """What a terminal shows on which the lines are typed, each at a prompt of its own."""
    ours, its = pty.openpty()
    process = subprocess.Popen(shell, env=env, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    shown = ""
    try:
        for line in [*lines, "exit 0"]:
            answer = ""
            while PROMPT not in answer:
                answer += os.read(ours, 65536).decode()
            shown += answer
            os.write(ours, f"{line}\n".encode())
        while piece := os.read(ours, 65536):
            shown += piece.decode()
    except OSError:
        pass  # so Linux says that a terminal's other end is closed
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return shown


def need(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: that commands are completed there is not shown")


@pytest.mark.parametrize(("shell", "begins"), [(BASH, "true"), (ZSH, ZSH_BEGINS)], ids=["bash", "zsh"])
def test_the_tabulator_completes(shell: list[str], begins: str, env: dict[str, str], tmp_path: Path) -> None:
    need(shell[0])
    rows = tmp_path / "rows-of-a-file.jsonl"
    rows.write_text('{"prompt": "a", "completion": "b"}\n')
    evaluated = f'eval "$(tunesmith completion {shell[0]})"'
    shown = typed(
        shell,
        [
            begins,
            evaluated,
            "tunesmith jobs canc\t --help",
            f"tunesmith --form\t json files check {tmp_path}/rows-of\t",
        ],
        env,
    )
    assert "Usage: tunesmith jobs cancel" in shown
    assert '"fault_count": 0' in shown


def test_fish_is_told_what_to_complete(env: dict[str, str]) -> None:
    need("fish")
    code = 'tunesmith completion fish | source; complete -C "tunesmith jobs canc"'
    done = subprocess.run(
        ["fish", "--no-config", "-c", code], env=env, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("cancel\t")
