# pyright: standard, reportMissingImports=false
# Copied from core/specs/strict.py by sdk/tools/copy_core.py: change it there.
"""The base of every specification: unknown keys are errors, so that no setting is silently ignored."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, protected_namespaces=())


Auto = Literal["auto"]
