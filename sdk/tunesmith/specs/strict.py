# pyright: standard, reportMissingImports=false
# Copied from core/specs/strict.py by sdk/tools/copy_core.py: change it there.
"""The base of every specification: unknown keys are errors, so that no setting is silently ignored."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, protected_namespaces=())


Auto = Literal["auto"]


class WrongKey(ValueError):
    """What a validator of a whole object raises where it knows which key is wrong.

    key: its path from the object on; `tunesmith.specs.mistakes` reads it.
    """

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key
