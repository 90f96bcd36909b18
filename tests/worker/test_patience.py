"""What the store's errors come to: those that pass are waited for, refusals are not."""

import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ResponseStreamingError

from core.storage import IntegrityError
from worker.patience import patiently, refusal

PASSING: list[Exception] = [
    ResponseStreamingError(error="reset by peer"),
    EndpointConnectionError(endpoint_url="http://store"),
    ClientError({"Error": {"Code": "SlowDown"}}, "PutObject"),
    IntegrityError("damaged on its way"),
    ConnectionResetError(),
]


def insist(*errors: Exception) -> int:
    """How many calls it took until none of these errors was left to be raised."""
    left, calls = list(errors), 0

    def call() -> str:
        nonlocal calls
        calls += 1
        if left:
            raise left.pop(0)
        return "done"

    assert patiently(call, what="a test", stop=threading.Event()) == "done"
    return calls


@pytest.mark.parametrize("error", PASSING, ids=lambda error: type(error).__name__)
def test_what_passes_is_tried_again(error: Exception) -> None:
    assert refusal(error) is None
    assert insist(error) == 2


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket", "403"])
def test_a_refusal_is_told_at_once(code: str) -> None:
    error: Any = ClientError({"Error": {"Code": code}}, "PutObject")
    assert refusal(error) == code
    with pytest.raises(ClientError):
        insist(error)
