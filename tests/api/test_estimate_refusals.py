"""What an estimate refuses as a job would: files that the method can't learn from, integrations that are not set up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from core.storage import Storage
from tests.api.test_estimate import MODEL, chat, estimate, processed, validated


def test_a_file_that_the_method_can_t_learn_from_is_refused_by_key(
    http: httpx.Client, engine: Engine, storage: Storage, publish_card: Callable[..., None], tmp_path: Path
) -> None:
    publish_card()
    chats = validated(http, engine, storage, [chat("a", "b")] * 20, tmp_path)
    pairs = validated(http, engine, storage, [{"prompt": "a", "chosen": "b", "rejected": "c"}] * 20, tmp_path)
    for_dpo = {"type": "dpo", "dpo": {}}
    replaying = {"type": "supervised", "supervised": {"replay": {"file": pairs, "fraction": 0.2}}}
    wrong: dict[str, Any] = {
        "training_file": {"training_file": chats, "method": for_dpo},
        "validation_file": {"training_file": pairs, "validation_file": chats, "method": for_dpo},
        "method.supervised.replay.file": {"training_file": chats, "method": replaying},
    }
    for param, body in wrong.items():
        answer = http.post("/v1/fine_tuning/jobs/estimate", json={"model": MODEL, **body})
        refused, job = answer.json()["error"], http.post("/v1/fine_tuning/jobs", json={"model": MODEL, **body}).json()
        assert (answer.status_code, refused["param"], job["status"]) == (400, param, "failed")
        assert {key: refused[key] for key in job["error"]} == job["error"]
    assert estimate(http, chats).status_code == estimate(http, pairs, method=for_dpo).status_code == 200
    assert len(http.get("/v1/fine_tuning/jobs").json()["data"]) == len(wrong)


def test_an_integration_that_is_not_set_up_is_refused(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None], served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_card()
    asked = {"integrations": [{"type": "mlflow", "mlflow": {"experiment": "caps"}}]}
    file_id = processed(http, engine, [chat("a", "b")] * 20)
    refused = estimate(http, file_id, **asked)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "integrations.0.type")
    monkeypatch.setattr(served.app.state.settings, "mlflow_tracking_uri", "http://127.0.0.1:1")
    assert estimate(http, file_id, **asked).status_code == 200
