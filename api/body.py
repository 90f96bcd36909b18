"""JSON bodies, read after the key has been checked and only up to a limit."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import Depends, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError

from api.deps import OwnerDep
from api.validation import explain
from core.errors import InvalidRequest, TooLarge

LIMIT = 1024 * 1024
SMALL = 2 * 1024  # bytes; a usual job has some hundred, and the worst of so few takes the event loop some 5 ms
DEEPEST = 64  # levels of objects and lists; no body of ours has ten
Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, _: OwnerDep) -> bytes:
    """The body's bytes.

    Raises:
        TooLarge: there are more than LIMIT of them.
    """
    raw = bytearray()
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > LIMIT:
            raise TooLarge(f"the body is larger than {LIMIT} bytes")
    return bytes(raw)


BodyDep = Annotated[bytes, Depends(read_body)]


def json_body(model: type[Body]) -> Callable[[bytes], Awaitable[Body]]:
    """A dependency that answers the request's body as `model`.

    FastAPI itself would read and parse the body before it asks who is there. No body at all is an object without keys.
    """
    schema = model.model_json_schema()

    def parse(raw: bytes) -> Body:
        try:
            decoded = msgspec.json.decode(raw or b"{}")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"the body is not valid JSON: {error}") from None
        if not isinstance(decoded, dict):
            raise InvalidRequest(f"the body must be a JSON object, not {type(decoded).__name__}")
        _check_values(decoded, path="", depth=1)
        try:
            return model.model_validate(decoded, strict=True)  # in JSON, "7" and true are no numbers
        except ValidationError as error:
            raise explain(error.errors(include_url=False), body=decoded, schema=schema) from None

    async def read(raw: BodyDep) -> Body:
        return parse(raw) if len(raw) <= SMALL else await run_in_threadpool(parse, raw)

    return read


def _check_values(value: Any, *, path: str, depth: int) -> None:
    """PostgreSQL's text cannot hold NUL, and no name of ours needs it; Python's stack cannot hold any depth."""
    if isinstance(value, str) and "\0" in value:
        raise InvalidRequest(f"{path}: contains a NUL character", param=path)
    if isinstance(value, dict | list) and depth > DEEPEST:
        raise InvalidRequest(f"the body is nested deeper than {DEEPEST} levels", param=path.partition(".")[0])
    if isinstance(value, dict):
        for key, item in value.items():
            _check_values(key, path=path or "body", depth=depth)
            _check_values(item, path=f"{path}.{key}" if path else key, depth=depth + 1)
    if isinstance(value, list):
        for i, item in enumerate(value):
            _check_values(item, path=f"{path}.{i}", depth=depth + 1)


def described_by(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI description of a body that `json_body` reads; `api.openapi` moves its `$defs` to where refs point."""
    place = "#/components/schemas/{model}"
    schema = model.model_json_schema(ref_template=place)
    defs = {**schema.pop("$defs", {}), model.__name__: schema}
    content = {"application/json": {"schema": {"$ref": place.format(model=model.__name__), "$defs": defs}}}
    return {"requestBody": {"required": True, "content": content}}
