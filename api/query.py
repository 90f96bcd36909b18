"""Query parameters: a name that a route does not know is refused, so that no filter is silently ignored."""

import re

from fastapi import Request

from api.validation import UnknownKey

METADATA = re.compile(r"metadata\[(?P<key>.*)\]", re.DOTALL)


async def known_query(request: Request) -> None:
    """Raises UnknownKey where the query has a parameter that the route has not."""
    if not request.scope["query_string"]:
        return
    route = request.scope["route"].dependant
    allowed = [field.alias for asking in (route, *route.dependencies) for field in asking.query_params]
    for name in request.query_params:
        if name not in allowed and not ("metadata" in allowed and METADATA.fullmatch(name)):
            known = [f"{name}[key]" if name == "metadata" else name for name in allowed]
            hint = f"allowed here: {', '.join(known)}" if known else "this route has none"
            raise UnknownKey(f"{name:.80}: unknown query parameter; {hint}", param=name[:80])


def metadata_filter(request: Request) -> dict[str, str]:
    """The `metadata[key]=value` of a query."""
    found = ((METADATA.fullmatch(name), value) for name, value in request.query_params.items())
    return {match["key"]: value for match, value in found if match}
