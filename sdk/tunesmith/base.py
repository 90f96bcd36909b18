"""What all answers share."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """The base of all of them."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
