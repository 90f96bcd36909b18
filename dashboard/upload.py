"""Files from the browser to the API, in parts as they come: none of them is ever whole in this process."""

from collections.abc import AsyncIterator
from contextlib import suppress

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect
from tunesmith import AsyncTunesmith, TunesmithError
from tunesmith.types import File

from dashboard.sessions import Session
from dashboard.words import error_words

PART = 16 * 1024 * 1024  # bytes; so much memory an upload takes


def router() -> APIRouter:
    routes = APIRouter()

    @routes.post("/data/upload")
    async def receive(request: Request, filename: str, purpose: str = "fine-tune") -> Response:
        """The body is the file; the answer names it, or says in words why there is none."""
        size = request.headers.get("content-length", "")
        if not size.isdecimal() or int(size) == 0:
            return _refusal("The file is empty.", 400)
        session: Session = request.state.session
        try:
            file = await send(session.patient, request, filename=filename, purpose=purpose, size=int(size))
        except ClientDisconnect:
            return Response(status_code=400)  # nobody reads it
        except TunesmithError as error:
            return _refusal(error_words(error), 400)
        return JSONResponse({"id": file.id})

    return routes


async def send(api: AsyncTunesmith, request: Request, *, filename: str, purpose: str, size: int) -> File:
    """
    Raises:
        TunesmithError: the API refuses, or does not answer; what has been sent of the file is given up.
        ClientDisconnect: the browser has gone; likewise.
    """
    made = await api.uploads.create(filename=filename, bytes=size, purpose=purpose)
    try:
        part_ids = [(await api.uploads.parts.create(made.id, data=data)).id async for data in parts(request.stream())]
        done = await api.uploads.complete(made.id, part_ids=part_ids)
    except BaseException:
        with suppress(TunesmithError):  # the first error is the one to tell
            await api.uploads.cancel(made.id)
        raise
    assert done.file is not None  # of a completed upload
    return done.file


async def parts(chunks: AsyncIterator[bytes], *, size: int = PART) -> AsyncIterator[bytes]:
    """The same bytes in pieces of that size; the last may be smaller."""
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        while len(waiting) >= size:
            yield bytes(waiting[:size])
            del waiting[:size]
    if waiting:
        yield bytes(waiting)


def _refusal(words: str, status: int) -> Response:
    return JSONResponse({"error": words}, status)
