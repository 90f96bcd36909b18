"""Copy what the SDK shares with the server: the job spec and the rules for training files.

    python sdk/tools/copy_core.py

Neither side may import the other, so the SDK carries copies. Beginning with one module of the server, everything that
it imports of its own package is copied, with the names of the package changed and nothing else.
"""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What is copied: the server's modules to begin with, and the SDK's package for each and what it needs.
COPIES = {
    "core.specs.job": "tunesmith.specs",
    "core.specs.mistakes": "tunesmith.specs",
    "core.rows.validate": "tunesmith.rules",
}
SERVER = {"api", "core", "embedded", "graders", "migrations", "trainers", "worker"}
# What only type checkers import is not copied, and what a rule needs may not be installed.
HEADER = """# pyright: standard, reportMissingImports=false
# Copied from {source} by sdk/tools/copy_core.py: change it there.
"""


def needed(module: str) -> set[str]:
    """The module and, transitively, all that it imports of its package when it runs.

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
        ours = [other for other in imported(source_path(name).read_text()) if other.split(".")[0] in SERVER]
        if strangers := [other for other in ours if other.rpartition(".")[0] != package]:
            raise ValueError(f"{name} imports {strangers[0]}, which the SDK has no copy of")
        waiting += ours
    return found


def imported(source: str) -> set[str]:
    """The modules that a source imports, anywhere but for the type checker."""
    modules, waiting = set[str](), list[ast.AST](ast.parse(source).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from core.rows import tools` imports a module, where others import what is in one.
            below = {f"{node.module}.{alias.name}" for alias in node.names}
            modules |= {name for name in below if source_path(name).exists()} or {node.module}
        else:
            waiting += ast.iter_child_nodes(node)
    return modules


def source_path(module: str) -> Path:
    return ROOT / f"{module.replace('.', '/')}.py"


def copies() -> dict[Path, str]:
    """Every copy's path and text."""
    made: dict[Path, str] = {}
    for module, package in COPIES.items():
        ours = module.rpartition(".")[0]
        for name in needed(module):
            path = ROOT / "sdk" / package.replace(".", "/") / source_path(name).name
            text = re.sub(rf"\b{re.escape(ours)}\b", package, source_path(name).read_text())
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
