"""An OpenAI-compatible server as an operator might have one: the foreign party of graders that ask models."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class ModelServer:
    """`say` makes the answer's message out of a request's body; `statuses` are answered first, one a request, with the
    request's key in their words. retry_after: what they ask for, in seconds."""

    url: str
    say: Callable[[dict[str, Any]], dict[str, Any]] = lambda _: {"content": '{"reasons": "", "score": 1}'}
    statuses: list[int] = field(default_factory=list)
    retry_after: int | None = None
    received: list[tuple[str, str | None, dict[str, Any]]] = field(default_factory=list)  # path, key, body


@contextmanager
def model_server() -> Iterator[ModelServer]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            told.received.append((self.path, self.headers.get("authorization"), body))
            status = told.statuses.pop(0) if told.statuses else 200
            if status != 200:
                said = f"not now, {self.headers.get('authorization')}"
                answer: dict[str, Any] = {"error": {"message": said}}
            elif self.path == "/v1/embeddings":
                vectors = [[float(len(text)), float(text.count("a"))] for text in body["input"]]
                data = [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(vectors)]
                answer = {"object": "list", "data": data[::-1], "model": body["model"]}
            else:
                choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", **told.say(body)}}
                usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
                answer = {
                    "object": "chat.completion",
                    "model": f"{body['model']}-2026",
                    "choices": [choice],
                    "usage": usage,
                }
            content = json.dumps(answer).encode()
            self.send_response(status)
            if status != 200 and told.retry_after is not None:
                self.send_header("retry-after", str(told.retry_after))
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    told = ModelServer(f"http://127.0.0.1:{server.server_port}/v1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
