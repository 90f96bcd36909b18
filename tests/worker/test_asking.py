"""A trainer's questions to models: answered over a socket of its supervisor, which alone has the key."""

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter

from core.settings import Settings
from core.specs.asking import ChatQuestion, EmbedQuestion, Reply
from core.specs.method import Method
from tests.model_server import ModelServer, model_server
from tests.stack import eventually
from trainers.asking import Supervisor
from worker import asking as module
from worker import forkserver
from worker.asking import asking
from worker.supervisor import Attempt

KEY = "sk-of-the-operator"
JUDGE = {"type": "score_model", "name": "j", "model": "judge", "input": [{"role": "user", "content": "{{ item.x }}"}]}
LABELS = {
    **{"type": "label_model", "name": "l", "model": "sorter", "input": JUDGE["input"]},
    **{"labels": ["good", "bad"], "passing_labels": ["good"]},
}
CHECK = {"type": "string_check", "name": "c", "operation": "eq", "input": "a", "reference": "b"}
COSINE = {"type": "text_similarity", "name": "t", "input": "a", "reference": "b", "evaluation_metric": "cosine"}
METHODS: TypeAdapter[Method] = TypeAdapter(Method)


def method(grader: dict[str, Any], **options: Any) -> Method:
    return METHODS.validate_python({"type": "reinforcement", "reinforcement": {"grader": grader, **options}})


def chat(model: str, text: str = "x") -> ChatQuestion:
    return ChatQuestion(model=model, messages=[{"role": "user", "content": text}], answer_schema={})


@pytest.fixture
def models() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture
def operated(settings: Settings, models: ModelServer) -> Settings:
    """Of a worker whose operator has set a server for graders."""
    more = {
        "grader_model_url": models.url,
        "grader_model_key": SecretStr(KEY),
        "grader_embeddings_url": models.url,
        "grader_embeddings_key": SecretStr(KEY),
    }
    return settings.model_copy(update=more)


def test_questions_of_the_jobs_own_graders_are_answered_in_their_order(operated: Settings, models: ModelServer) -> None:
    models.say = lambda body: {"content": body["messages"][0]["content"].upper()}
    multi = {"type": "multi", "name": "m", "graders": {"l": LABELS, "c": CHECK}, "calculate_output": "l + c"}
    with asking(operated, method(multi, watch=JUDGE)) as path:
        questions = [chat("judge", "a"), chat("gpt-5", "b"), chat("sorter", "c"), EmbedQuestion(texts=["d"])]
        replies = Supervisor(path)(questions)
    assert [reply.text for reply in replies] == ["A", None, "C", None]
    refused = Reply(problem="no grader of this job asks that model")
    assert (replies[1], replies[3]) == (refused, refused)
    assert {body["model"] for _, _, body in models.received} == {"judge", "sorter"}
    assert {key for _, key, _ in models.received} == {f"Bearer {KEY}"}


def test_embeddings_are_a_matter_of_cosine(operated: Settings, models: ModelServer) -> None:
    with asking(operated, method(COSINE)) as path:
        replies = Supervisor(path)([EmbedQuestion(texts=["aa", "b"]), chat("judge")])
    assert replies[0].vectors == [[2.0, 2.0], [1.0, 0.0]]
    assert replies[1].problem == "no grader of this job asks that model"
    assert [path for path, _, _ in models.received] == ["/v1/embeddings"]


@pytest.mark.parametrize(
    "options",
    [
        method(CHECK),
        METHODS.validate_python({"type": "supervised"}),
        METHODS.validate_python({"type": "ppo", "ppo": {"reward_models": ["a"], "grader": CHECK}}),
    ],
)
def test_who_has_nothing_to_ask_gets_no_socket(operated: Settings, options: Method) -> None:
    with asking(operated, options) as path:
        assert path is None
        assert [reply.problem for reply in Supervisor(path)([chat("judge")])] == ["this run may ask no model"]


def test_nobody_else_may_enter_and_it_ends_with_the_block(operated: Settings) -> None:
    with asking(operated, method(JUDGE)) as path:
        assert path is not None
        folder = Path(path).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        assert len(os.fsencode(path)) <= 107
        assert [reply.problem for reply in Supervisor(path)([chat("judge")])] == [None]
    assert not folder.exists()
    (reply,) = Supervisor(path)([chat("judge")])
    assert reply.problem == "the supervisor does not answer: FileNotFoundError"


def test_what_is_no_line_of_questions_is_hung_up_on(
    operated: Settings, models: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LONGEST_LINE", 1000)
    with asking(operated, method(JUDGE)) as path:
        assert path is not None
        for line in (b"{}\n", b'[{"kind": "shell"}]\n', b"\xff\n", b'["' + b"x" * 2000 + b'"]\n', b"[]"):
            assert said(path, line) == b""
        assert said(path, b"[]\n") == b"[]\n"
        assert len(Supervisor(path)([chat("judge")])) == 1  # it goes on
    assert len(models.received) == 1


def said(path: str, line: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(path)
        try:
            connection.sendall(line)
            connection.shutdown(socket.SHUT_WR)
            with connection.makefile("rb") as answer:
                return answer.read()
        except OSError:  # it did not read to the end
            return b""


def test_a_trainer_asks_through_its_supervisor_and_finds_no_key(
    attempt: Attempt, operated: Settings, models: ModelServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What the child finds in its run directory, its environment and the answer, it writes down for us."""
    with asking(operated, method(JUDGE)) as path:
        folder = attempt.run_dir
        (folder / "asking").write_text(str(path))
        log = folder / "log.txt"
        process = forkserver.spawn("tests.worker.children", "ask", str(folder), devices=[], threads=None, log=str(log))
        eventually((folder / "told.json").exists, seconds=60, what="the trainer's report")
        process.join(10)
    told = json.loads((folder / "told.json").read_text())
    assert told["replies"][0]["text"] == '{"reasons": "", "score": 1}'
    assert models.received[0][1] == f"Bearer {KEY}"
    assert KEY not in json.dumps(told)
    assert all(KEY not in path.read_text() for path in folder.rglob("*") if path.is_file())
    assert KEY not in caplog.text
