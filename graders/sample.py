"""What is graded."""

import json
from functools import cached_property
from typing import Any

from pydantic import Field

from core.specs.strict import Strict


class Sample(Strict):
    """One answer of a model, and the row that it answers."""

    output_text: str
    output_tools: list[dict[str, Any]] = Field(default_factory=list, description="Its tool calls.")
    item: dict[str, Any] = Field(default_factory=dict, description="The row's keys.")

    @cached_property
    def names(self) -> dict[str, Any]:
        """What templates and python graders know as `sample`; output_json is null where the text is no JSON."""
        message = {"role": "assistant", "content": self.output_text, "tool_calls": self.output_tools}
        return {
            "output_text": self.output_text,
            "output_json": _as_json(self.output_text),
            "output_tools": self.output_tools,
            "choices": [{"index": 0, "message": message}],
        }


def _as_json(text: str) -> Any:
    if not text.lstrip().startswith(("{", "[")):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
