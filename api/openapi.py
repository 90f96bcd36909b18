"""The description of the API that `/openapi.json` serves."""

from typing import Any

from fastapi import FastAPI


def describe(app: FastAPI) -> dict[str, Any]:
    """What FastAPI derives from the routes, put right: how to authenticate, bodies that we read by ourselves, and no
    422, which is never answered.
    """
    schema = app.openapi()
    components = schema["components"]
    components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            if path.startswith("/v1/"):
                operation["security"] = [{"key": []}]
            for content in operation.get("requestBody", {}).get("content", {}).values():
                components["schemas"].update(content["schema"].pop("$defs", {}))
    return schema
