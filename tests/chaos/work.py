"""Work as users offer it: files and jobs through the SDK, every answer and every event recorded."""

import hashlib
import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tunesmith import Tunesmith
from tunesmith.errors import APIConnectionError, DigestMismatch, InternalServerError, TunesmithError

from tests.chaos.history import History
from tests.e2e.rows import upper_case, upper_case_asked, upper_case_liked, upper_case_preferred, upper_case_texts

CHECKPOINT_INTERVAL = 40
OPTIONS: dict[str, Any] = {
    "weights": "adapter",
    "max_steps": 200,
    "hyperparameters": {"batch_size": 4},
    "lora": {"dropout": 0.1},
    "checkpoint_interval": CHECKPOINT_INTERVAL,
    "samples": {"rows": 0},
}
# What each method is trained on: disturbed in whatever way, each must end with the bytes of its undisturbed run. Which
# ways of fault 1 a method joins in, KILLED tells; the other faults take whatever runs.
# A word after a dot is for ourselves, where a method is trained in more than one way.
METHODS = {
    "supervised": upper_case(120, seed=1),
    "dpo": upper_case_preferred(120, seed=1),
    "kto": upper_case_liked(120, seed=1),
    "pretraining": upper_case_texts(600, seed=1),
    "reward_model": upper_case_preferred(120, seed=1),
    "ppo": upper_case_asked(120, seed=1),
    "reinforcement": upper_case_asked(120, seed=1),
    "supervised.full": upper_case(120, seed=1),
}
ALIKE = {
    "type": "text_similarity",
    "name": "alike",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
    "evaluation_metric": "fuzzy_match",
}
# What a method needs besides, or does without: pre-training fills its sequences, and with the model's whole context
# would take minutes, as would longer answers.
FURTHER: dict[str, dict[str, Any]] = {
    "ppo": {"max_completion_tokens": 8, "ppo_epochs": 1},
    "reinforcement": {"max_completion_tokens": 8, "group_size": 2, "grader": ALIKE},
    "pretraining": {"max_length": 64},
    "supervised.full": {"weights": "full", "lora": None},
}
WEIGHTS = {"adapter": "adapter_model.safetensors", "full": "model.safetensors"}  # the file in which a job yields them
CANCELLED = 0.1  # the share of jobs that their users think better of
RETRIES = 40  # of the SDK, with the same Idempotency-Key, before a call is given up
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class User:
    """Somebody with a key of the API.

    Args:
        run: what all files and jobs of a round have in their names.
        fault: what they are counted for.
    """

    url: str
    key: str
    folder: Path
    history: History
    run: str
    fault: int = 0

    def work(self, name: str, *, method: str, cancels: bool = False) -> str:
        """Upload a file, train on it, listen until the end, fetch the weights; answers how the job ended.

        Raises:
            TunesmithError: the API refuses what it should take.
        """
        key = f"{self.run}-{self.fault}-{name}"
        path = self.folder / f"{key}.jsonl"
        path.write_bytes(METHODS[method])
        stage = method.partition(".")[0]
        options = {name: value for name, value in (OPTIONS | FURTHER.get(method, {})).items() if value is not None}
        self.history.add("attempted", key=key, fault=self.fault)
        with Tunesmith(base_url=self.url, api_key=self.key, timeout=20, max_retries=RETRIES) as client:
            try:
                if method == "ppo":
                    options["reward_models"] = [_insist(lambda: a_reward_model(client))]
                file = client.files.create(file=path)
                self.history.add("stored", key=key, file=file.id, sha256=hashlib.sha256(METHODS[method]).hexdigest())
                job = client.fine_tuning.jobs.create(
                    model="tiny-random-llama",
                    training_file=file.id,
                    seed=5,
                    method={"type": stage, stage: options},
                    metadata={"run": self.run, "key": key, "method": method},
                    idempotency_key=key,
                )
                self.history.add(
                    "acknowledged",
                    key=key,
                    job=job.id,
                    method=method,
                    fault=self.fault,
                    cancels=cancels,
                    interval=CHECKPOINT_INTERVAL,
                )
                self._listen(client, job.id, cancels=cancels)
                return self._take(client, job.id, weights=WEIGHTS[options["weights"]])
            except TunesmithError as error:
                self.history.add("refused", key=key, fault=self.fault, error=f"{type(error).__name__}: {error}")
                raise

    def _listen(self, client: Tunesmith, job_id: str, *, cancels: bool) -> None:
        """Record every event; comes back to a stream that broke off for longer than the SDK puts up with."""
        seen, cancelled = 0, False

        def listen() -> None:
            nonlocal seen, cancelled
            for event in client.fine_tuning.jobs.events.stream(job_id, after=seen):
                self.history.add("event", job=job_id, seq=event.seq, id=event.id)
                seen = event.seq
                if cancels and not cancelled and event.type == "metrics":
                    cancelled = True
                    self._cancel(client, job_id)

        _insist(listen)
        self.history.add("heard", job=job_id, last=seen)

    def _cancel(self, client: Tunesmith, job_id: str) -> None:
        try:
            _insist(lambda: client.fine_tuning.jobs.cancel(job_id))
        except TunesmithError:  # it has ended, or an earlier request whose answer was lost has cancelled it
            return
        self.history.add("cancelled", job=job_id)

    def _take(self, client: Tunesmith, job_id: str, *, weights: str) -> str:
        job = _insist(lambda: client.fine_tuning.jobs.retrieve(job_id))
        if job.status == "succeeded":
            folder = self.folder / job_id
            _insist(lambda: client.fine_tuning.jobs.artifacts.download(job_id, folder, names=[weights]))
            self.history.add("fetched", job=job_id, sha256=hashlib.sha256((folder / weights).read_bytes()).hexdigest())
        self.history.add("ended", job=job_id, status=job.status)
        return job.status


def a_reward_model(client: Tunesmith) -> str:
    """Any that a user has made: all have the same bytes. The first one is waited for."""
    while True:
        for model in client.models.list():
            if model.kind == "reward_model":
                return model.id
        time.sleep(1)


def _insist(call: Callable[[], Answer]) -> Answer:
    """What a patient user's script does where a service stays away for longer than its client tries."""
    while True:
        try:
            return call()
        except (APIConnectionError, InternalServerError, DigestMismatch):
            continue


@contextmanager
def busy(
    user: User,
    *,
    count: int,
    methods: Sequence[str],
    wanted: Callable[[], Sequence[str]],
    draw: random.Random,
    seconds: float,
) -> Iterator[threading.Event]:
    """So many users work until the event that is yielded is set, each with one job at a time; at the end of the block
    their jobs end, too.

    Args:
        methods: each user goes round them, no two from the same one.
        wanted: the methods that a fault waits for, now and next. They go first, unless others are at them already.
        seconds: that these last jobs may take. Those that have not ended by then are left, for the checker to find.
    """
    enough, choosing = threading.Event(), threading.Lock()
    begun: dict[int, str] = {}  # what each user has in hand

    def choose(user_number: int, number: int) -> str:
        with choosing:
            asked = list(wanted())
            missing = [*(Counter(asked) - Counter(m for user, m in begun.items() if user != user_number)).elements()]
            own = methods[(user_number + number) % len(methods)]
            begun[user_number] = (missing or asked or [own])[0]
            return begun[user_number]

    def repeat(user_number: int, draw: random.Random) -> None:
        for number in itertools.count():
            if enough.is_set():
                return
            method, cancels = choose(user_number, number), draw.random() < CANCELLED
            try:
                user.work(f"user{user_number}-{number}", method=method, cancels=cancels)
            except TunesmithError:
                continue

    threads = [
        threading.Thread(target=repeat, args=(i, random.Random(draw.random())), name=f"user{i}", daemon=True)
        for i in range(count)
    ]
    for thread in threads:
        thread.start()
    try:
        yield enough
    finally:
        enough.set()
        deadline = time.monotonic() + seconds
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def one_job(user: User, name: str, *, method: str, seconds: float) -> str:
    """How a job ended, or why it did not: nothing waits for ever, whatever is broken."""
    told: list[str] = []

    def work() -> None:
        try:
            told.append(user.work(name, method=method))
        except TunesmithError as error:
            told.append(f"{type(error).__name__}: {error}")

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    thread.join(seconds)
    return told[0] if told else f"not within {seconds:.0f} s"
