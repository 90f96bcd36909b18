"""Write `tunesmith/_sync` from `tunesmith/_async`: the same code without its awaits.

    python sdk/tools/make_sync.py

`_async` is where to make changes. The files of HAND_WRITTEN differ by more than names and exist on both sides.
"""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "tunesmith"
HAND_WRITTEN = {"__init__.py", "waiting.py", "page.py", "resources/base.py"}
HEADER = "# Written by sdk/tools/make_sync.py from tunesmith/{source}: change it there.\n"
WORDS = (
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable\[([^\[\]]*(?:\[[^\[\]]*\])?[^\[\]]*)\]", r"\1"),
    (r"\bAsyncPages\b", "Page"),
    (r"\b(Abstract)?Async(?=[A-Z])", r"\1"),
    (r"\b_async\b", "_sync"),
    (r"\basynccontextmanager\b", "contextmanager"),
    (r"\b__a(enter|exit|iter)__\b", r"__\1__"),
    (r"\ba(close|read|iter_bytes|iter_lines)\(", r"\1("),
)


def sync(text: str) -> str:
    for pattern, replacement in WORDS:
        text = re.sub(pattern, replacement, text)
    return text


def written() -> dict[Path, str]:
    """Every generated file's path and text, formatted as the rest of the code."""
    made: dict[Path, str] = {}
    for source in sorted((PACKAGE / "_async").rglob("*.py")):
        name = source.relative_to(PACKAGE / "_async")
        if name.as_posix() in HAND_WRITTEN:
            continue
        text = HEADER.format(source=source.relative_to(PACKAGE).as_posix()) + sync(source.read_text())
        made[PACKAGE / "_sync" / name] = _formatted(text, PACKAGE / "_sync" / name)
    return made


def _formatted(text: str, path: Path) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    name = ["--stdin-filename", str(path), "-"]
    for command in (["check", "--quiet", "--fix-only", *name], ["format", "--quiet", *name]):
        text = subprocess.run([*ruff, *command], input=text, capture_output=True, text=True, check=True).stdout
    return text


def main() -> None:
    made = written()
    for old in (PACKAGE / "_sync").rglob("*.py"):
        if old not in made and old.relative_to(PACKAGE / "_sync").as_posix() not in HAND_WRITTEN:
            old.unlink()
    for path, text in made.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
