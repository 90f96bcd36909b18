"""Jobs that learn from answers of their own: what is refused before anything is taken, and what they keep."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from openai import OpenAI
from sqlalchemy import Engine, func, update

from core.db import session_scope
from core.models import Job, Model
from core.registry import repository as registry
from tests.api.conftest import SMOLLM2, Served, Upload
from tests.cards import SPECIAL
from tests.conftest import ProjectKey
from tests.core.factories import make_model

MODEL = "tiny-random-llama"
PROMPT = {"messages": [{"role": "user", "content": "2+2?"}], "answer": "4"}
CHECK = {
    "type": "string_check",
    "name": "right",
    "operation": "eq",
    "input": "{{ sample.output_text }}",
    "reference": "{{ item.answer }}",
}
JUDGE = {"type": "score_model", "name": "j", "model": "judge", "input": [{"role": "user", "content": "{{ item.x }}"}]}
BAD_SOURCE = "def grade(sample, item):\n    return (\n"
REWARD_MODEL = {"type": "reward_model", "reward_model": {}}


@pytest.fixture
def file_id(rows: Upload) -> str:
    return rows(PROMPT)


def create(
    http: httpx.Client, file_id: str, method: dict[str, Any], *, model: str = MODEL, **body: Any
) -> httpx.Response:
    body = {"model": model, "training_file": file_id, "method": method, **body}
    return http.post("/v1/fine_tuning/jobs", json=body, timeout=170)


def reinforcement(**options: Any) -> dict[str, Any]:
    return {"type": "reinforcement", "reinforcement": {"grader": CHECK, **options}}


def ppo(*reward_models: str, **options: Any) -> dict[str, Any]:
    return {"type": "ppo", "ppo": {"reward_models": list(reward_models), **options}}


def initialization(vocab_size: int) -> dict[str, Any]:
    tokenizer = {"type": "bpe", "vocab_size": vocab_size}
    return {"method": {"type": "initialization", "initialization": {"tokenizer": tokenizer}}}


def error(answer: httpx.Response) -> tuple[str, str]:
    """(param, message)"""
    assert answer.status_code == 400, answer.text
    told = answer.json()["error"]
    return told["param"], told["message"]


def test_the_contracts_client_creates_a_reinforcement_job(served: Served, project: ProjectKey, file_id: str) -> None:
    with OpenAI(base_url=f"{served.url}/v1", api_key=project.key) as client:
        job = client.fine_tuning.jobs.create(
            model=MODEL,
            training_file=file_id,
            method={
                "type": "reinforcement",
                "reinforcement": {
                    "grader": CHECK,  # pyright: ignore[reportArgumentType]
                    "hyperparameters": {
                        "compute_multiplier": 0.5,
                        "eval_interval": 3,
                        "eval_samples": 2,
                        "reasoning_effort": "low",
                        "n_epochs": 1,
                        "batch_size": 4,
                    },
                },
            },
        )
        assert job.status == "validating_files"  # until a worker has looked at its prompts
        assert job.method is not None
        assert job.method.reinforcement is not None
        assert job.method.reinforcement.grader.type == "string_check"
        given = job.method.reinforcement.hyperparameters
        assert given is not None
        assert (given.compute_multiplier, given.eval_interval, given.eval_samples) == (0.5, 3, 2)
        assert (given.reasoning_effort, given.n_epochs, given.batch_size) == ("low", 1, 4)
        again = client.fine_tuning.jobs.retrieve(job.id)
        assert again.method == job.method


def test_early_stopping_needs_no_metric(http: httpx.Client, file_id: str) -> None:
    stopping = {"early_stopping": {}, "validation_split": 0.5}
    job = create(http, file_id, reinforcement(**stopping)).json()
    assert job["method"]["reinforcement"]["early_stopping"]["metric"] == "auto"
    param, says = error(create(http, file_id, reinforcement(**stopping | {"early_stopping": {"metric": "valid_loss"}})))
    assert param == "method.reinforcement.early_stopping.metric"
    assert "allowed here: valid_reward_mean" in says


@pytest.mark.parametrize(
    ("method", "param", "words"),
    [
        ({"type": "reinforcement", "reinforcement": {}}, "method.reinforcement.grader", "required"),
        (reinforcement(grader={**CHECK, "type": "magic"}), "method.reinforcement.grader.type", "'string_check'"),
        (reinforcement(grader={**CHECK, "x": 1}), "method.reinforcement.grader.x", "unknown key"),
        (
            reinforcement(grader={**CHECK, "input": "{{ itm.x }}"}),
            "method.reinforcement.grader.input",
            "'{{ itm.x }}' names nothing",
        ),
        (reinforcement(watch=JUDGE), "method.reinforcement.watch.type", "TUNESMITH_GRADER_MODEL_URL is not set"),
        (
            reinforcement(
                grader={
                    "type": "multi",
                    "name": "m",
                    "graders": {"a": CHECK, "b": {"type": "python", "name": "p", "source": BAD_SOURCE}},
                    "calculate_output": "a + b",
                }
            ),
            "method.reinforcement.grader.graders.b.source",
            "line ",
        ),
        (
            ppo("x", grader={"type": "python", "name": "p", "source": "x = 1"}),
            "method.ppo.grader.source",
            "grade",
        ),
        (reinforcement(aggregation="normalize_then_sum"), "method.reinforcement.aggregation", "multi or reasoning"),
        (
            reinforcement(
                grader={"type": "multi", "name": "m", "graders": {"a": CHECK}, "calculate_output": "max(a, 0.5)"},
                aggregation="normalize_then_sum",
            ),
            "method.reinforcement.grader.calculate_output",
            "no weighted sum",
        ),
        (
            ppo("x", grader=CHECK | {"input": "{{ sample.output_tools.0.function.name }}"}),
            "method.ppo.grader.input",
            "no tool calls",
        ),
        (
            reinforcement(eval_interval=1, hyperparameters={"eval_interval": 2}),
            "method.reinforcement.eval_interval",
            "not both",
        ),
        (reinforcement(loss="luspo"), "method.reinforcement.importance", "loss luspo needs sequence"),
        (
            reinforcement(loss="vespo", importance="sequence"),
            "method.reinforcement.importance",
            "loss vespo needs token",
        ),
        (
            reinforcement(
                grader={"type": "reasoning", "name": "r", "reference": "{{ item.answer }}"},
                aggregation="normalize_then_sum",
                scale_rewards="none",
            ),
            "method.reinforcement.scale_rewards",
            "leave it out",
        ),
        (reinforcement(replay={"file": "x", "fraction": 0.1}), "method.reinforcement", "leave it out"),
        (
            reinforcement(keep_best="valid_loss", validation_split=0.1),
            "method.reinforcement.keep_best",
            "valid_reward_mean",
        ),
        (reinforcement(group_size=1), "method.reinforcement.group_size", "given 1"),
        (ppo(), "method.ppo.reward_models", "at least 1"),
        (ppo("x", minibatches=3), "method.ppo.minibatches", "does not divide the 8 answers"),
        (
            ppo("x", minibatches=8, hyperparameters={"batch_size": 12}),
            "method.ppo.minibatches",
            "does not divide the 12 answers",
        ),
        (ppo("ft:gone"), "method.ppo.reward_models[0]", "no model 'ft:gone'"),
        (ppo(MODEL), "method.ppo.reward_models[0]", "is a policy, which writes answers; a reward model"),
    ],
)
def test_what_can_be_known_is_refused_at_once(
    http: httpx.Client, file_id: str, method: dict[str, Any], param: str, words: str
) -> None:
    told, message = error(create(http, file_id, method))
    assert told.startswith(param)
    assert words in message
    assert http.get("/v1/fine_tuning/jobs").json()["data"] == []
    # An estimate looks as closely.
    body = {"model": MODEL, "training_file": file_id, "method": method}
    told, message = error(http.post("/v1/fine_tuning/jobs/estimate", json=body, timeout=170))
    assert told.startswith(param)


def test_a_file_of_chats_is_no_file_of_prompts(http: httpx.Client, rows: Upload) -> None:
    chats = rows({"messages": [*PROMPT["messages"], {"role": "assistant", "content": "4"}]})
    job = create(http, chats, reinforcement()).json()
    assert (job["status"], job["error"]["param"]) == ("failed", "training_file")
    assert "method reinforcement learns from prompt, problem, reasoning" in job["error"]["message"]
    job = create(http, rows(PROMPT), {"type": "supervised"}).json()
    assert "rows of the form prompt, but method supervised learns from messages" in job["error"]["message"]


def test_an_answer_as_long_as_the_context_is_refused_where_that_is_known(
    http: httpx.Client, file_id: str, make: Callable[..., str]
) -> None:
    model = make(**initialization(300))  # nano: 256 tokens
    param, message = error(create(http, file_id, reinforcement(max_completion_tokens=256), model=model))
    assert param == "method.reinforcement.max_completion_tokens"
    assert "256 were asked for, but the model's context is 256" in message
    assert create(http, file_id, reinforcement(max_completion_tokens=255), model=model).status_code == 200


def test_the_context_of_a_model_of_the_catalogue_is_known_by_its_card(
    http: httpx.Client, file_id: str, make: Callable[..., str], publish_card: Callable[..., None]
) -> None:
    adapter = make(model=MODEL, method={"type": "supervised", "supervised": {}})
    wrong = {"max_completion_tokens": 2048, "max_length": 2049}
    for key, value in wrong.items():
        assert create(http, file_id, reinforcement(**{key: value})).status_code == 200, "only the trainer can tell yet"
    publish_card()
    for model in (MODEL, adapter):
        for key, value in wrong.items():
            param, message = error(create(http, file_id, reinforcement(**{key: value}), model=model))
            assert param == f"method.reinforcement.{key}"
            assert "the model's context is 2048" in message
            assert create(http, file_id, reinforcement(**{key: value - 1}), model=model).status_code == 200
    body = {"model": MODEL, "training_file": file_id, "method": reinforcement(max_completion_tokens=2048)}
    param, _ = error(http.post("/v1/fine_tuning/jobs/estimate", json=body))
    assert param == "method.reinforcement.max_completion_tokens"


@pytest.mark.parametrize("special", [SPECIAL, ["<|bos|>", *SPECIAL[1:]]])
def test_two_bases_of_the_catalogue_are_compared_by_their_cards(
    http: httpx.Client, file_id: str, make: Callable[..., str], publish_card: Callable[..., None], special: list[str]
) -> None:
    scorer = make(model=MODEL, method=REWARD_MODEL)
    publish_card()
    publish_card(model=SMOLLM2, special=special)
    answer = create(http, file_id, ppo(scorer), model="smollm2")
    if special == SPECIAL:
        assert answer.status_code == 200
    else:
        param, message = error(answer)
        assert param == "method.ppo.reward_models[0]"
        assert "has another tokenizer than the model that is trained" in message


def test_reward_models_have_the_tokenizer_of_the_policy(
    http: httpx.Client, file_id: str, make: Callable[..., str]
) -> None:
    ours, others = make(**initialization(300)), make(**initialization(301))
    alike = make(**initialization(300))  # the same text, learnt alike
    policy = make(model=ours, method={"type": "supervised", "supervised": {}})
    of_ours, of_others = make(model=ours, method=REWARD_MODEL), make(model=others, method=REWARD_MODEL)
    of_catalogue = make(model=MODEL, method=REWARD_MODEL)
    for model, scorers in (
        (ours, (of_ours,)),
        (policy, (of_ours,)),
        (alike, (of_ours,)),
        (others, (of_others,)),
        (MODEL, (of_catalogue,)),
        ("smollm2-135m-instruct", (of_catalogue,)),  # without cards only the trainer can tell
    ):
        assert create(http, file_id, ppo(*scorers), model=model).status_code == 200
    for model, scorers in (
        (ours, (of_ours, of_others)),
        (policy, (of_ours, of_others)),
        (ours, (of_ours, of_catalogue)),
        (MODEL, (of_catalogue, of_ours)),
    ):
        param, message = error(create(http, file_id, ppo(*scorers), model=model))
        assert param == "method.ppo.reward_models[1]"
        assert f"{scorers[1]!r} has another tokenizer than the model that is trained" in message
    param, message = error(create(http, file_id, ppo(of_ours, of_ours), model=ours))
    assert (param, "is named twice" in message) == ("method.ppo.reward_models[1]", True)
    param, _ = error(create(http, file_id, ppo(of_ours), model=of_ours))
    assert param == "model"


def test_another_projects_reward_model_does_not_exist(
    http: httpx.Client, file_id: str, engine: Engine, make_project: Callable[[str], ProjectKey]
) -> None:
    with session_scope(engine) as session:
        theirs = make_model(session, make_project("other").owner, model=MODEL, method=REWARD_MODEL)
    param, message = error(create(http, file_id, ppo(theirs)))
    assert (param, message) == (
        "method.ppo.reward_models[0]",
        f"method.ppo.reward_models[0]: no model {theirs!r} that this project may use",
    )


def test_a_reward_model_is_kept_for_the_job_that_waits_for_it(
    http: httpx.Client, file_id: str, engine: Engine, make: Callable[..., str]
) -> None:
    """Whatever becomes of its name: as with the model that a job starts from."""
    scorer = make(model=MODEL, method=REWARD_MODEL)
    job_id = create(http, file_id, ppo(scorer)).json()["id"]
    assert http.delete(f"/v1/models/{scorer}").status_code == 200
    error(create(http, file_id, ppo(scorer)))

    def needed() -> bool:
        with session_scope(engine) as session:
            return session.query(Model).where(Model.name == scorer, registry.needed()).count() == 1

    assert needed()
    with session_scope(engine) as session:
        assert [model.name for model in registry.models_named(session, names=[scorer])] == [scorer]
        session.get_one(Job, job_id).status = "cancelled"
    assert not needed()


def test_a_checkpoint_that_scores_is_not_removed_from_the_store(
    http: httpx.Client, file_id: str, engine: Engine, make: Callable[..., str]
) -> None:
    scorer = make(model=MODEL, method=REWARD_MODEL)
    job_id = create(http, file_id, ppo(scorer)).json()["id"]
    long_ago = func.now() - timedelta(seconds=registry.FORGOTTEN_SECONDS + 1)
    with session_scope(engine) as session:
        session.execute(update(Model).where(Model.name == scorer).values(checkpoint_step=1, deleted_at=long_ago))
        assert registry.forgotten(session, limit=10) == []
        session.get_one(Job, job_id).status = "failed"
        session.flush()
        assert [model.name for model in registry.forgotten(session, limit=10)] == [scorer]
