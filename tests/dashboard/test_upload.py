"""How what a browser sends is cut into parts."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from dashboard.upload import parts


@pytest.mark.parametrize("chunks", [[], [b""], [b"abc"], [b"abcd"], [b"a", b"bcdefg", b"", b"hi"], [b"x" * 13]])
def test_parts_are_the_same_bytes_in_pieces_of_one_size(chunks: list[bytes]) -> None:
    async def sent() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def received() -> list[bytes]:
        return [part async for part in parts(sent(), size=4)]

    found = asyncio.run(received())
    assert b"".join(found) == b"".join(chunks)
    assert all(len(part) == 4 for part in found[:-1])
    assert all(0 < len(part) <= 4 for part in found)
