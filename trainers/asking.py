"""Questions of graders to models, put to the supervisor, which has their address and their key."""

import socket
from collections.abc import Sequence

from core.specs.asking import QUESTIONS, REPLIES, ChatQuestion, EmbedQuestion, Reply


class Supervisor:
    """An `Ask` over a Unix socket: a batch of questions as a line of JSON, its replies as another, a connection each.

    Args:
        path: of the socket; None where the job's graders ask no model.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path

    def __call__(self, questions: Sequence[ChatQuestion | EmbedQuestion]) -> list[Reply]:
        if self.path is None:
            return [Reply(problem="this run may ask no model")] * len(questions)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.connect(self.path)
                connection.sendall(QUESTIONS.dump_json(list(questions)) + b"\n")
                with connection.makefile("rb") as answers:
                    return REPLIES.validate_json(answers.readline())
        except (OSError, ValueError) as error:
            problem = f"the supervisor does not answer: {type(error).__name__}"
            return [Reply(problem=problem, away=True)] * len(questions)
