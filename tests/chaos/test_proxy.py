"""The proxy by itself, before a small HTTP server: what each trouble makes of a request."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import httpx
import pytest

from embedded.ports import free_ports
from tests.chaos.proxy import Proxy, Trouble
from tests.stack import eventually

BODY = bytes(range(256)) * 16


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a connection was cut off: that is what is tested


@pytest.fixture
def server() -> Iterator[int]:
    with Quiet(("127.0.0.1", 0), Echo) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: int) -> Iterator[Proxy]:
    proxy = Proxy(free_ports(1)[0], server, http=True, seed=1)  # nobody listens at the first of the two
    proxy.start()
    yield proxy
    proxy.stop()


@pytest.fixture
def post(proxy: Proxy) -> Iterator[Callable[[], httpx.Response]]:
    with httpx.Client(timeout=30) as client:
        yield lambda: client.post(f"http://127.0.0.1:{proxy.port}/echo", content=BODY)


def test_without_trouble_all_passes_to_the_replica_that_lives(proxy: Proxy, post: Callable[[], httpx.Response]) -> None:
    assert [post().content for _ in range(3)] == [BODY] * 3
    assert proxy.hits == 0
    assert proxy.open_requests == []


def test_a_request_is_open_until_its_answer_comes(proxy: Proxy, post: Callable[[], httpx.Response]) -> None:
    proxy.trouble = Trouble("blackhole")
    thread = Thread(target=post)
    thread.start()
    eventually(lambda: proxy.open_requests == [b"POST /echo HTTP/1.1"], seconds=10, what="an open request")
    proxy.trouble = None
    thread.join()
    assert proxy.open_requests == []


def test_a_request_whose_client_loses_patience_is_counted_while_it_is_held(proxy: Proxy) -> None:
    proxy.trouble = Trouble("blackhole")
    with httpx.Client(timeout=0.1) as client:
        for times in (1, 2):
            with pytest.raises(httpx.TimeoutException):
                client.post(f"http://127.0.0.1:{proxy.port}/echo", content=BODY)
            eventually(lambda times=times: proxy.given_up[b"POST /echo HTTP/1.1"] == times, seconds=10, what="a count")


def test_what_belongs_to_other_requests_is_left_alone(proxy: Proxy, post: Callable[[], httpx.Response]) -> None:
    proxy.trouble = Trouble("503", path="/other")
    assert post().status_code == 200
    proxy.trouble = Trouble("503", path="/echo")
    assert post().status_code == 503


@pytest.mark.parametrize("kind", ["reset", "truncate", "lose answers"])
def test_a_connection_breaks_off(proxy: Proxy, post: Callable[[], httpx.Response], kind: Any) -> None:
    proxy.trouble = Trouble(kind)
    with pytest.raises(httpx.TransportError):
        post()
    assert proxy.hits == 1
    proxy.trouble = None
    assert post().content == BODY


def test_a_request_is_refused(proxy: Proxy, post: Callable[[], httpx.Response]) -> None:
    proxy.trouble = Trouble("503")
    assert post().status_code == 503


def test_a_byte_changes_on_each_way(proxy: Proxy, post: Callable[[], httpx.Response]) -> None:
    proxy.trouble = Trouble("flip")
    answer = post().content
    assert len(answer) == len(BODY)
    assert sum(a != b for a, b in zip(answer, BODY, strict=True)) in (1, 2)
    assert proxy.hits == 2


@pytest.mark.parametrize("trouble", [Trouble("blackhole"), Trouble("delay", seconds=0.2)])
def test_what_is_held_up_arrives_whole(proxy: Proxy, post: Callable[[], httpx.Response], trouble: Trouble) -> None:
    proxy.trouble = trouble
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post)
        eventually(lambda: proxy.hits, seconds=30, what="a held request")
        assert not answer.done()
        proxy.trouble = None
        assert answer.result().content == BODY


def test_a_share_of_requests_is_befallen(proxy: Proxy, post: Callable[[], httpx.Response]) -> None:
    proxy.trouble = Trouble("503", share=0.5)
    assert {post().status_code for _ in range(40)} == {200, 503}


def test_connections_are_reset(proxy: Proxy, post: Callable[[], httpx.Response]) -> None:
    proxy.trouble = Trouble("blackhole")
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post)
        eventually(lambda: proxy.hits, seconds=30, what="a held request")
        proxy.reset_connections()
        with pytest.raises(httpx.TransportError):
            answer.result()
