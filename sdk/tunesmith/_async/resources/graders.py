"""Graders: what is wrong with one, and what it says of an answer."""

from collections.abc import Mapping
from typing import Any

from tunesmith._async.resources.base import AsyncResource
from tunesmith.answers import given, parse
from tunesmith.types import CheckedGrader, GraderResult

PATH = "/fine_tuning/alpha/graders"


class AsyncGraders(AsyncResource):
    """`client.fine_tuning.graders`: how good an answer is, as data; docs/graders.md describes the types.

    ```python
    grader = {"type": "math", "name": "right", "reference": "{{ item.answer }}"}
    result = await client.fine_tuning.graders.run(grader, "It is 1/2.", item={"answer": "0.5"})
    print(result.reward, result.metadata.errors["details"])
    ```
    """

    async def validate(self, grader: Mapping[str, Any]) -> CheckedGrader:
        """The grader with its defaults, if a job could use it.

        Raises:
            BadRequestError: it can't be used; `param` names the key, and of a source the message names the line.
        """
        return parse(CheckedGrader, await self._transport.request("POST", f"{PATH}/validate", body={"grader": grader}))

    async def run(
        self, grader: Mapping[str, Any], model_sample: str, *, item: Mapping[str, Any] | None = None
    ) -> GraderResult:
        """The reward of one answer.

        Args:
            model_sample: the answer, `sample.output_text` in templates.
            item: the row that is answered; its keys are `item.…` in templates.

        Raises:
            BadRequestError: the grader can't be used; what is wrong with the answer is in the result's `errors`.
        """
        body = given(grader=grader, model_sample=model_sample, item=item)
        return parse(GraderResult, await self._transport.request("POST", f"{PATH}/run", body=body))
