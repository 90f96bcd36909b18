"""Answers of busy routes."""

from fastapi import Response
from pydantic import BaseModel


def as_json(shape: BaseModel) -> Response:
    """The shape as it goes over the wire.

    FastAPI would check what the route has just made, and in another thread: the routes that are asked most skip that,
    and name their shape as `response_model` for the description.
    """
    return Response(shape.model_dump_json(), media_type="application/json")
