"""Questions of a trainer's graders to models, answered by its supervisor, which has the servers' addresses and keys."""

import logging
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

from core.asking import Servers
from core.scratch import scratch
from core.settings import Settings
from core.specs.asking import QUESTIONS, REPLIES, Ask, ChatQuestion, EmbedQuestion, Question, Reply
from core.specs.graders import LabelModel, ScoreModel, TextSimilarity, parts
from core.specs.method import Method, graders

log = logging.getLogger(__name__)
LONGEST_LINE = 64 * 1024 * 1024  # bytes: the questions of a step's answers
# A socket's path has at most 107 bytes, and a run directory may be deep.
SHORT = Path("/tmp")


@dataclass(frozen=True)
class Asked:
    """What the graders of a method may ask: chats of these models, and embeddings or not."""

    models: frozenset[str]
    embeddings: bool

    @classmethod
    def of(cls, method: Method) -> "Asked":
        found = [part for _, grader in graders(method) for _, part in parts(grader)]
        return cls(
            frozenset(part.model for part in found if isinstance(part, ScoreModel | LabelModel)),
            any(isinstance(part, TextSimilarity) and part.evaluation_metric == "cosine" for part in found),
        )

    def replies(self, questions: list[Question], ask: Ask) -> list[Reply]:
        """Those to what may be asked; everything else is refused."""
        allowed = [self._allows(question) for question in questions]
        given = iter(ask(list(compress(questions, allowed))))
        refused = Reply(problem="no grader of this job asks that model")
        return [next(given) if may else refused for may in allowed]

    def _allows(self, question: ChatQuestion | EmbedQuestion) -> bool:
        return question.model in self.models if isinstance(question, ChatQuestion) else self.embeddings


@contextmanager
def asking(settings: Settings, method: Method) -> Iterator[str | None]:
    """The path of a socket at which the method's graders may ask, for the length of the block; None: they ask nothing.

    A batch of questions is a line of JSON, its replies another; who sends anything else is hung up on.
    """
    asked = Asked.of(method)
    if not asked.models and not asked.embeddings:
        yield None
        return
    with Servers(settings) as servers, scratch("asking", within=SHORT) as folder:  # which nobody else may enter
        path = str(folder / "socket")
        with _Server(path, asked, servers) as server:
            threading.Thread(target=server.serve_forever, args=(0.1,), name="asking", daemon=True).start()
            try:
                yield path
            finally:
                server.shutdown()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True  # a model may take a minute, and the attempt may end in it
    block_on_close = False

    def __init__(self, path: str, asked: Asked, ask: Ask) -> None:
        super().__init__(path, _Connection)
        self.asked, self.ask = asked, ask

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Not its words: they may quote what was asked.
        log.warning("a trainer's question was not answered: %s", type(sys.exception()).__name__)


class _Connection(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Server)
        line = self.rfile.readline(LONGEST_LINE)
        if not line.endswith(b"\n"):
            log.warning("a trainer's questions have more than %d bytes, or are cut off", LONGEST_LINE)
            return
        replies = self.server.asked.replies(QUESTIONS.validate_json(line), self.server.ask)
        self.wfile.write(REPLIES.dump_json(replies) + b"\n")
