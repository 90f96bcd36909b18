"""Words for people."""


def printable(text: str) -> str:
    """The text without control characters: what a server or a model wrote must not steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)
