# Written by sdk/tools/make_sync.py from tunesmith/_async/resources/models.py: change it there.
"""Base models, and what jobs made of them."""

from tunesmith._sync.page import Page
from tunesmith._sync.resources.base import Resource
from tunesmith.answers import given, parse, segment
from tunesmith.types import Deleted, Model


class Models(Resource):
    """`client.models`: base models, and what jobs made of them.

    ```python
    for model in client.models.list():
        print(model.id, model.base_model)
    ```
    """

    def list(
        self, *, kind: str | None = None, search: str | None = None, after: str | None = None, limit: int | None = None
    ) -> Page[Model]:
        """The catalogue's base models, and the project's fine-tuned ones, newest first.

        Args:
            kind: "base", "fine_tuned" or "reward_model".
            search: a part of the id, of an alias, of the base model or of the job's id.
            after: the last fine-tuned model of the page before.
            limit: fine-tuned models a page; None: all at once.
        """
        return self._pages(Model, "/models", given(kind=kind, search=search, after=after, limit=limit))

    def retrieve(self, model: str) -> Model:
        """A model by its name or, for a base model, one of its aliases."""
        return parse(Model, self._transport.request("GET", _path(model)))

    def delete(self, model: str) -> Deleted:
        """Take a fine-tuned model out of use."""
        return parse(Deleted, self._transport.request("DELETE", _path(model)))


def _path(model: str) -> str:
    return f"/models/{segment(model, safe='/:')}"
