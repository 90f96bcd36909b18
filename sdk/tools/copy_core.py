"""Copy what the SDK shares with the server: the job spec and the rules for training files.

    python sdk/tools/copy_core.py

Neither side may import the other, so the SDK carries copies. Beginning with one module of the server, everything that
it imports of its own package is copied, with the names of the package changed and nothing else.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What is copied: the server's module to begin with, and the SDK's package for it and what it needs.
COPIES = {"core.specs.job": "tunesmith.specs", "core.rows.validate": "tunesmith.rules"}
HEADER = "# pyright: standard\n# Copied from {source} by sdk/tools/copy_core.py: change it there.\n"


def needed(module: str) -> set[str]:
    """The module and, transitively, all that it imports of its package.

    Raises:
        ValueError: one of them needs something else of the server.
    """
    package = module.rpartition(".")[0]
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for node in ast.walk(ast.parse(source_path(name).read_text())):
            imported = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                imported = [node.module]
            ours = [name for name in imported if name.split(".")[0] in ("core", "api", "worker", "trainers", "graders")]
            if strangers := [name for name in ours if name.rpartition(".")[0] != package]:
                raise ValueError(f"{name} imports {strangers[0]}, which the SDK has no copy of")
            waiting += ours
    return found


def source_path(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def copies() -> dict[Path, str]:
    """Every copy's path and text."""
    made: dict[Path, str] = {}
    for module, package in COPIES.items():
        ours = module.rpartition(".")[0]
        for name in needed(module):
            path = ROOT / "sdk" / package.replace(".", "/") / source_path(name).name
            text = source_path(name).read_text().replace(f"{ours}.", f"{package}.")
            made[path] = HEADER.format(source=source_path(name).relative_to(ROOT)) + text
    return made


def main() -> None:
    made = copies()
    for folder in {path.parent for path in made}:
        folder.mkdir(exist_ok=True)
        for old in folder.glob("*.py"):
            if old not in made and old.name != "__init__.py":
                old.unlink()
    for path, text in made.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
