"""An API that dies in the middle of a request: sent again with its key, the request has been done exactly once."""

import socket
from urllib.parse import urlsplit

import httpx
from openai import OpenAI

from tests.api.test_files import ROW
from tests.conftest import ProjectKey
from tests.stack import Stack, eventually


def test_a_request_survives_the_api(stack: Stack, openai: OpenAI, project: ProjectKey) -> None:
    retry = {"authorization": f"Bearer {project.key}", "idempotency-key": "k"}
    address = urlsplit(stack.url)
    head = (
        f"POST /v1/files HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {project.key}\r\nidempotency-key: k\r\n"
        "content-type: multipart/form-data; boundary=b\r\ncontent-length: 1000000\r\n\r\n"
        '--b\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    )
    with socket.create_connection((address.hostname, address.port)) as half_sent:
        half_sent.sendall(head.encode() + ROW)
        stack.kill("api")
    stack.start("api")
    assert list(openai.files.list()) == []

    def send() -> httpx.Response:
        form = {"file": ("a.jsonl", ROW)}
        return httpx.post(f"{stack.url}/v1/files", data={"purpose": "fine-tune"}, files=form, headers=retry)

    first = send()
    stack.kill("api")
    stack.start("api")
    second = send()
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.json()["id"] == first.json()["id"]
    assert [file.id for file in openai.files.list()] == [first.json()["id"]]
    eventually(lambda: openai.files.retrieve(first.json()["id"]).status == "processed", seconds=30, what="its rows")
