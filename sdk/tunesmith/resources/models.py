"""Base models, and what jobs made of them."""

from tunesmith.page import Page
from tunesmith.resources.base import Resource, get_page, parse, segment
from tunesmith.types import Deleted, Model


class Models(Resource):
    def list(self) -> Page[Model]:
        """The catalogue's base models, and the project's fine-tuned ones."""
        return get_page(self._transport, Model, "/models", {})

    def retrieve(self, model: str) -> Model:
        """A model by its name or, for a base model, one of its aliases."""
        return parse(Model, self._transport.request("GET", f"/models/{segment(model, safe='/:')}"))

    def delete(self, model: str) -> Deleted:
        """Take a fine-tuned model out of use."""
        return parse(Deleted, self._transport.request("DELETE", f"/models/{segment(model, safe='/:')}"))
