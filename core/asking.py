"""Questions of graders to models, put to the operator's OpenAI-compatible servers. Whoever has the keys calls this."""

import itertools
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from core.settings import Settings
from core.specs.asking import ChatQuestion, EmbedQuestion, Reply

AT_ONCE = 8  # questions of a batch
TRIES = 6
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0  # seconds before a question is asked again; each is twice the one before
SECONDS = 60.0  # without any byte
MOST_TOLD = 300  # characters of a server's complaint


class Servers:
    """An `Ask` over HTTP, and a context manager. Redirects are not followed: the key is for the operator's server."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.http = httpx.Client(timeout=SECONDS, transport=httpx.HTTPTransport(retries=TRIES - 1))
        self._closed = threading.Event()
        self.pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="asking")

    def __enter__(self) -> "Servers":
        return self

    def __exit__(self, *_: object) -> None:
        """Waits for no server: what is still being asked is nobody's any more."""
        self._closed.set()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self.http.close()

    def __call__(self, questions: Sequence[ChatQuestion | EmbedQuestion]) -> list[Reply]:
        """Replies in the order of the questions; what went wrong is in them."""
        return list(self.pool.map(self._answered, questions))

    def _answered(self, question: ChatQuestion | EmbedQuestion) -> Reply:
        try:
            return self._chat(question) if isinstance(question, ChatQuestion) else self._embed(question)
        except httpx.HTTPStatusError as error:
            status, told = error.response.status_code, self._without_keys(error.response.text)[:MOST_TOLD]
            return Reply(problem=f"the server answered {status}: {told}", away=_may_pass(status))
        except httpx.HTTPError as error:
            return Reply(problem=f"the server does not answer: {type(error).__name__}", away=True)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            return Reply(problem=f"the server's answer is not what the contract says: {type(error).__name__}")

    def _chat(self, question: ChatQuestion) -> Reply:
        url, key = self.settings.grader_model_url, self.settings.grader_model_key
        if url is None:
            return Reply(problem="no server for model graders is set")
        schema = {"name": "verdict", "strict": True, "schema": question.answer_schema}
        body = {
            "model": question.model,
            "messages": question.messages,
            "response_format": {"type": "json_schema", "json_schema": schema},
            **question.sampling,
        }
        answer = self._post(f"{url}/chat/completions", key.get_secret_value() if key else None, body)
        message, used = answer["choices"][0]["message"], answer.get("usage") or {}
        return Reply(
            text=message.get("content"),
            refusal=message.get("refusal"),
            model=answer.get("model"),
            prompt_tokens=used.get("prompt_tokens") or 0,
            completion_tokens=used.get("completion_tokens") or 0,
        )

    def _embed(self, question: EmbedQuestion) -> Reply:
        url, key = self.settings.grader_embeddings_url, self.settings.grader_embeddings_key
        if url is None:
            return Reply(problem="no server for embeddings is set")
        body = {"model": self.settings.grader_embeddings_model, "input": question.texts}
        answer = self._post(f"{url}/embeddings", key.get_secret_value() if key else None, body)
        data = sorted(answer["data"], key=lambda item: item["index"])
        return Reply(vectors=[item["embedding"] for item in data])

    def _post(self, url: str, key: str | None, body: dict[str, Any]) -> Any:
        """Tries again, after pauses, what may be over by then: too many requests, a fault of the server."""
        headers = {"authorization": f"Bearer {key}"} if key else {}
        for tried in itertools.count(1):
            response = self.http.post(url, json=body, headers=headers)
            # Where it is closed, nobody waits for the answer any more.
            last = tried == TRIES or not _may_pass(response.status_code)
            if last or self._closed.wait(_pause(response, tried)):
                response.raise_for_status()
                return response.json()
        raise AssertionError("the last try answers or raises")

    def _without_keys(self, text: str) -> str:
        """A server may repeat what it was sent; what it says is told to whoever owns the job."""
        for key in (self.settings.grader_model_key, self.settings.grader_embeddings_key):
            if key is not None and key.get_secret_value():
                text = text.replace(key.get_secret_value(), "…")
        return text


def _may_pass(status: int) -> bool:
    return status == 429 or status >= 500


def _pause(response: httpx.Response, tried: int) -> float:
    """Seconds: what the server asks for, else longer each time."""
    asked = response.headers.get("retry-after", "")
    wanted = float(asked) if asked.isdecimal() and len(asked) < 10 else FIRST_PAUSE * 2 ** (tried - 1)
    return min(wanted, LONGEST_PAUSE)
