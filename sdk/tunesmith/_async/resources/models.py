"""Base models, and what jobs made of them."""

from tunesmith._async.page import AsyncPages
from tunesmith._async.resources.base import AsyncResource
from tunesmith.answers import parse, segment
from tunesmith.types import Deleted, Model


class AsyncModels(AsyncResource):
    """`client.models`: base models, and what jobs made of them.

    ```python
    async for model in client.models.list():
        print(model.id, model.base_model)
    ```
    """

    def list(self) -> AsyncPages[Model]:
        """The catalogue's base models, and the project's fine-tuned ones."""
        return self._pages(Model, "/models")

    async def retrieve(self, model: str) -> Model:
        """A model by its name or, for a base model, one of its aliases."""
        return parse(Model, await self._transport.request("GET", _path(model)))

    async def delete(self, model: str) -> Deleted:
        """Take a fine-tuned model out of use."""
        return parse(Deleted, await self._transport.request("DELETE", _path(model)))


def _path(model: str) -> str:
    return f"/models/{segment(model, safe='/:')}"
