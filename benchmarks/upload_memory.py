"""`python -m benchmarks.upload_memory`: what large uploads cost one API process in memory.

A file of 1 GiB in one request; then one of 3 GiB in parts of 64 MiB, four on their way at once, and its completion.
"""

import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.api import Database, make_database, served
from benchmarks.asked import at_most
from embedded.services import run_services

MIB = 2**20
ONE_FILE = 1024 * MIB
PART, PARTS, AT_ONCE = 64 * MIB, 48, 4
LINE = b'{"prompt":"a","completion":"' + b"b" * (MIB - 31) + b'"}\n'
SETTLED = 2.0  # seconds without work before memory is read
BOUNDARY = "tunesmith-benchmark"


def peak_after(server: psutil.Process, work: Callable[[], None]) -> tuple[float, float]:
    """(MB that the process held at most, above what it held before; seconds)."""
    time.sleep(SETTLED)
    before = server.memory_info().rss
    Path(f"/proc/{server.pid}/clear_refs").write_text("5")  # VmHWM counts from here
    began = time.monotonic()
    work()
    seconds = time.monotonic() - began
    status = Path(f"/proc/{server.pid}/status").read_text()
    highest = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024
    return (highest - before) / 1e6, seconds


def send(port: int, path: str, database: Database, *, field: str, size: int, fields: dict[str, str]) -> dict[str, Any]:
    """POST a form whose file is generated while it is sent: this process holds none of it."""
    head = "".join(
        f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    head += f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{field}"; filename="rows.jsonl"\r\n\r\n'
    tail = f"\r\n--{BOUNDARY}--\r\n"

    def body() -> Iterator[bytes]:
        yield head.encode()
        for _ in range(size // MIB):
            yield LINE
        yield tail.encode()

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    headers = {
        "authorization": f"Bearer {database.key}",
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(len(head) + size + len(tail)),
    }
    connection.request("POST", path, body=body(), headers=headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    assert answer.status == 200, content
    return json.loads(content)


def main() -> int:
    reached: list[bool] = []
    assert len(LINE) == MIB
    os.environ["TUNESMITH_FILE_MAX_BYTES"] = str(ONE_FILE)  # twice what one request may bring by default
    with tempfile.TemporaryDirectory() as temporary, run_services(Path(temporary)) as services:
        database = make_database(services, "uploads", count=1)
        with served("api.main:app", services, database, Path(temporary) / "logs") as port:
            server = next(
                process for process in psutil.Process().children(recursive=True) if str(port) in process.cmdline()
            )
            http = httpx.Client(
                base_url=f"http://127.0.0.1:{port}/v1",
                headers={"authorization": f"Bearer {database.key}"},
                timeout=600,
            )
            purpose = {"purpose": "fine-tune"}
            send(port, "/v1/files", database, field="file", size=MIB, fields=purpose)  # what the first request loads

            def whole() -> None:
                file = send(port, "/v1/files", database, field="file", size=ONE_FILE, fields=purpose)
                assert file["bytes"] == ONE_FILE

            more, seconds = peak_after(server, whole)
            print(f"{ONE_FILE // MIB} MiB in one request: {more:.1f} MB more, {ONE_FILE / MIB / seconds:.0f} MiB/s")
            reached.append(at_most("MB more", more, 64))

            announced = {"filename": "rows.jsonl", "bytes": PART * PARTS, "mime_type": "application/jsonl"} | purpose
            upload = http.post("/uploads", json=announced).json()["id"]
            parts: list[str] = []

            def in_parts() -> None:
                def part(_: int) -> str:
                    path = f"/v1/uploads/{upload}/parts"
                    return send(port, path, database, field="data", size=PART, fields={})["id"]

                with ThreadPoolExecutor(AT_ONCE) as pool:
                    parts.extend(pool.map(part, range(PARTS)))

            more, seconds = peak_after(server, in_parts)
            total = PART * PARTS // MIB
            print(f"{total} MiB in parts, {AT_ONCE} at once: {more:.1f} MB more, {total / seconds:.0f} MiB/s")
            reached.append(at_most("MB more", more, 64))

            def complete() -> None:
                answer = http.post(f"/uploads/{upload}/complete", json={"part_ids": parts}).json()
                assert answer["file"]["bytes"] == PART * PARTS

            more, seconds = peak_after(server, complete)
            print(f"completing them: {more:.1f} MB more, {total / seconds:.0f} MiB/s")
            reached.append(at_most("MB more", more, 64))
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
