from collections.abc import Callable
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, update

from core.db import session_scope
from core.jobs import service as jobs
from core.models import File, Job
from tests.api.conftest import Served
from tests.api.test_files import upload
from tests.conftest import ProjectKey
from tests.core.factories import make_model

MODEL = "tiny-random-llama"


@pytest.fixture
def file_id(http: httpx.Client, engine: Engine) -> str:
    made = upload(http).json()["id"]
    with session_scope(engine) as session:
        session.execute(update(File).values(status="processed"))
    return made


def create(http: httpx.Client, **body: Any) -> httpx.Response:
    return http.post("/v1/fine_tuning/jobs", json={"model": MODEL, **body})


def test_a_job_is_created_with_its_first_events(http: httpx.Client, file_id: str) -> None:
    job = create(http, training_file=file_id, suffix="mine", seed=7, metadata={"team": "a"}).json()
    assert (job["object"], job["status"], job["seed"]) == ("fine_tuning.job", "queued", 7)
    assert job["hyperparameters"]["n_epochs"] == "auto"
    events = http.get(f"/v1/fine_tuning/jobs/{job['id']}/events").json()["data"]
    assert [event["message"] for event in reversed(events)] == [
        f"Created fine-tuning job: {job['id']}",
        f"Validating training file: {file_id}",
        "Files validated, moving job to queued state",
    ]
    assert [event["seq"] for event in events] == [3, 2, 1]


def test_jobs_are_listed_newest_first_by_page_and_metadata(http: httpx.Client, file_id: str) -> None:
    ids = [create(http, training_file=file_id, metadata={"n": str(i % 2)}).json()["id"] for i in range(5)]
    first = http.get("/v1/fine_tuning/jobs", params={"limit": 3}).json()
    rest = http.get("/v1/fine_tuning/jobs", params={"limit": 3, "after": first["data"][-1]["id"]}).json()
    assert [job["id"] for job in first["data"] + rest["data"]] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)
    odd = http.get("/v1/fine_tuning/jobs", params={"metadata[n]": "1"}).json()["data"]
    assert [job["id"] for job in odd] == [ids[3], ids[1]]


def supervised(**options: Any) -> dict[str, Any]:
    return {"method": {"type": "supervised", "supervised": options}}


def dpo(**options: Any) -> dict[str, Any]:
    return {"method": {"type": "dpo", "dpo": options}}


def sizes(**given: int) -> dict[str, Any]:
    return {"method": {"type": "initialization", "initialization": {"sizes": given}}}


SIZES = "method.initialization.sizes"


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({"model": "gpt-unknown"}, "model", "tiny-random-llama"),
        ({"model": "../../etc"}, "model", "no model"),
        ({"model": "a\0b"}, "model", "NUL"),
        ({"x": 1}, "x", "allowed here: hyperparameters, integrations"),
        ({"method": {"type": "supervised", "y": 1}}, "method.y", "allowed here: supervised, type"),
        ({"method": {"type": "magic"}}, "method.type", "'ppo', 'reinforcement'; given 'magic'"),
        ({"method": 5}, "method", "method: must be an object; given 5"),
        ({"method": {"type": "dpo", "supervised": {}}}, "method.supervised", "allowed here: dpo, type"),
        (dpo(loss="ipo", label_smoothing=0.1), "method.dpo.label_smoothing", "means nothing to the loss 'ipo'"),
        (
            dpo(label_smoothing=0.1),
            "method.dpo.label_smoothing",
            "given 0.1, but it means nothing to the loss 'sigmoid'",
        ),
        ({"method": {"type": "dpo", "dpo": {"hyperparameters": {"beta": 0}}}}, "method.dpo.hyperparameters.beta", "0"),
        (
            dpo(keep_best="valid_mean_token_accuracy"),
            "method.dpo.keep_best",
            "'valid_mean_token_accuracy' is not measured by this method; allowed here: valid_loss, valid_reward_acc",
        ),
        (
            supervised(early_stopping={"metric": "valid_reward_mean"}),
            "method.supervised.early_stopping.metric",
            "'valid_reward_mean' is not measured by this method; allowed here: valid_loss, valid_mean_token_accuracy",
        ),
        (
            {"method": {"type": "kto", "kto": {"hyperparameters": {"batch_size": 1}}}},
            "method.kto.hyperparameters.batch_size",
            "given 1",
        ),
        (supervised(z=1), "method.supervised.z", "unknown key"),
        (supervised(hyperparameters={"n_epochs": 2}, max_steps=3), "method.supervised.max_steps", "not both"),
        (supervised(lora={"r": 3, "init": "orthogonal"}), "method.supervised.lora", "an even r; given 3"),
        (supervised(weights="full", lora={}), "method.supervised.lora", "leave lora out"),
        (
            supervised(weights="full", merged_weights=True),
            "method.supervised.merged_weights",
            "leave merged_weights out",
        ),
        (supervised(weights="full", quantization="4bit"), "method.supervised.quantization", "leave quantization out"),
        (
            supervised(quantization="4bit", merged_weights=True),
            "method.supervised.merged_weights",
            "leave it or quantization out",
        ),
        (supervised(lora={"dora": 1}), "method.supervised.lora.dora", "must be true or false; given 1"),
        (supervised(lora={"target_modules": []}), "method.supervised.lora.target_modules", "or at least 1 long"),
        (supervised(replay=5), "method.supervised.replay", "must be an object; given 5"),
        (supervised(weights="half"), "method.supervised.weights", "'full'"),
        (supervised(replay={"file": "x", "fraction": 1}), "method.supervised.replay.fraction", "given 1"),
        (supervised(keep_best="valid_loss"), "method.supervised.keep_best", "there is nothing to validate on"),
        (supervised(samples={"rows": 3}), "method.supervised.samples.rows", "there is nothing to validate on"),
        (
            supervised(max_steps=50, optimization={"warmup": 51}),
            "method.supervised.optimization.warmup",
            "51 steps were asked for, but the run has 50 (max_steps)",
        ),
        (supervised(early_stopping={}), "method.supervised.early_stopping", "method.supervised.validation_split"),
        ({"max_duration_seconds": 1}, "max_duration_seconds", "60"),
        ({"seed": "7"}, "seed", "must be an integer; given '7'"),
        ({"seed": True}, "seed", "must be an integer; given True"),
        (supervised(lora={"rank": 1}), "method.supervised.lora.rank", "allowed here: alpha, dora, dropout, init, r,"),
        (supervised(hyperparameters={"lr": 1}), "method.supervised.hyperparameters.lr", "batch_size"),
        (
            supervised(hyperparameters={"n_epochs": 0}),
            "method.supervised.hyperparameters.n_epochs",
            "must be 'auto', or at least 1; given 0",
        ),
        (
            supervised(hyperparameters={"n_epochs": "x"}),
            "method.supervised.hyperparameters.n_epochs",
            "must be 'auto', or an integer; given",
        ),
        (supervised(hyperparameters={"batch_size": 257}), "method.supervised.hyperparameters.batch_size", "256"),
        ({"hyperparameters": {"n_epochs": 51}}, "hyperparameters.n_epochs", "50"),
        ({"seed": -1}, "seed", "given -1"),
        ({"seed": 2**31}, "seed", "given 2147483648"),
        ({"suffix": "my model"}, "suffix", "letters, digits, '.', '_' and '-' are allowed"),
        ({"suffix": "../x"}, "suffix", "../x"),
        ({"suffix": "x" * 65}, "suffix", "given"),
        ({"metadata": {"k" * 65: "v"}}, "metadata", "64"),
        ({"integrations": [{"type": "comet"}]}, "integrations.0", "mlflow"),
        ({"integrations": [{"type": "wandb", "wandb": {}}]}, "integrations.0.wandb.project", "required"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations.0.type", "there are: none"),
        (sizes(hidden_size=130), f"{SIZES}.hidden_size", "hidden_size is 130, but a multiple of heads (4) is needed"),
        (sizes(heads=5), f"{SIZES}.heads", "hidden_size is 128, but a multiple of heads (5) is needed"),
        (sizes(kv_heads=3), f"{SIZES}.kv_heads", "kv_heads is 3, but a divisor of heads (4) is needed"),
        (sizes(hidden_size=132), f"{SIZES}.hidden_size", "hidden_size / heads is 33, but rotary positions"),
        ({"resources": {"gpus": 9}}, "resources.gpus", "given 9"),
        ({"resources": {"gpus": True}}, "resources.gpus", "given True"),
    ],
)
def test_bad_specs_are_refused_by_the_path_of_the_key(
    http: httpx.Client, file_id: str, body: dict[str, Any], param: str, says: str
) -> None:
    answer = create(http, training_file=file_id, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["type"]) == (400, "invalid_request_error")
    assert error["param"].startswith(param)
    assert says in error["message"], error["message"]
    assert http.get("/v1/fine_tuning/jobs").json()["data"] == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000])
def test_bodies_that_are_no_object_are_refused(http: httpx.Client, body: bytes) -> None:
    assert http.post("/v1/fine_tuning/jobs", content=body).status_code == 400


@pytest.mark.parametrize("depth", [63, *range(900, 1010, 5)])
def test_bodies_of_any_depth_get_a_clear_error(http: httpx.Client, depth: int) -> None:
    """The depths are those around which Python's stack ends, wherever it stands when the body is looked at."""
    answer = http.post("/v1/fine_tuning/jobs", content=b'{"metadata":' + b"[" * depth + b"]" * depth + b"}")
    error = answer.json()["error"]
    assert answer.status_code == 400
    assert ("nested deeper than 64 levels" in error["message"] or "not valid JSON" in error["message"]) == (depth > 63)


def test_what_belongs_to_another_project_does_not_exist(
    http: httpx.Client, file_id: str, make_project: Callable[[str], ProjectKey]
) -> None:
    job_id = create(http, training_file=file_id).json()["id"]
    other = {"authorization": f"Bearer {make_project('other').key}"}
    answer = http.post("/v1/fine_tuning/jobs", json={"model": MODEL, "training_file": file_id}, headers=other)
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "training_file")
    for method, path in (
        ("GET", ""), ("GET", "/events"), ("GET", "/checkpoints"), ("GET", "/artifacts"),
        ("POST", "/cancel"), ("POST", "/pause"), ("POST", "/resume"),
    ):  # fmt: skip
        assert http.request(method, f"/v1/fine_tuning/jobs/{job_id}{path}", headers=other).status_code == 404
    assert http.get("/v1/fine_tuning/jobs", headers=other).json()["data"] == []
    assert http.get(f"/v1/fine_tuning/jobs/{job_id}").json()["status"] == "queued"


def test_a_method_without_a_type_is_supervised(http: httpx.Client, file_id: str) -> None:
    body = {"model": "tiny-random-llama", "training_file": file_id, "method": {"supervised": {"max_steps": 7}}}
    method = http.post("/v1/fine_tuning/jobs", json=body).json()["method"]
    assert (method["type"], method["supervised"]["max_steps"]) == ("supervised", 7)


def test_cancel_pause_and_resume_answer_400_in_the_wrong_state(http: httpx.Client, file_id: str) -> None:
    url = f"/v1/fine_tuning/jobs/{create(http, training_file=file_id).json()['id']}"
    assert http.post(f"{url}/resume").status_code == 400
    assert http.post(f"{url}/pause").json()["status"] == "paused"
    assert http.post(f"{url}/resume").json()["status"] == "queued"
    assert http.post(f"{url}/cancel").json()["status"] == "cancelled"
    for action in ("cancel", "pause", "resume"):
        answer = http.post(f"{url}/{action}")
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_state")


def test_a_job_waits_for_its_file_and_fails_with_it(http: httpx.Client, engine: Engine) -> None:
    waiting = create(http, training_file=upload(http).json()["id"]).json()
    assert waiting["status"] == "validating_files"
    with session_scope(engine) as session:
        session.execute(update(File).values(status="error", status_details="line 1: not valid JSON"))
    failed = create(http, training_file=waiting["training_file"]).json()
    assert failed["status"] == "failed"
    assert failed["error"]["param"] == "training_file"
    assert "line 1: not valid JSON" in failed["error"]["message"]


def test_a_job_waits_for_the_file_that_it_replays(
    http: httpx.Client, file_id: str, engine: Engine, make_project: Callable[[str], ProjectKey]
) -> None:
    def replaying(replayed: str, **body: Any) -> httpx.Response:
        return create(http, training_file=file_id, **supervised(replay={"file": replayed, "fraction": 0.1}), **body)

    key = "method.supervised.replay.file"
    same = replaying(file_id)
    assert (same.status_code, same.json()["error"]["param"]) == (400, key)
    assert "is the training_file" in same.json()["error"]["message"]
    assert (replaying("file-x").status_code, replaying("file-x").json()["error"]["param"]) == (404, key)

    waiting = upload(http).json()["id"]
    job = replaying(waiting).json()
    assert job["status"] == "validating_files"
    assert job["method"]["supervised"]["replay"] == {"file": waiting, "fraction": 0.1}
    with session_scope(engine) as session:
        session.execute(
            update(File).where(File.id == waiting).values(status="error", status_details="line 1: not valid JSON")
        )
        jobs.file_finished(session, file_id=waiting)
    failed = http.get(f"/v1/fine_tuning/jobs/{job['id']}").json()
    assert (failed["status"], failed["error"]["param"]) == ("failed", key)


def test_a_job_shows_its_integrations(
    http: httpx.Client, file_id: str, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served.app.state.settings, "mlflow_tracking_uri", "http://127.0.0.1:1")
    asked = {"type": "mlflow", "mlflow": {"experiment": "caps"}}
    job = create(http, training_file=file_id, integrations=[asked]).json()
    shown = [{**asked, "status": "pending", "url": None, "reason": None}]
    assert job["integrations"] == shown
    assert http.get("/v1/fine_tuning/jobs").json()["data"][0]["integrations"] == shown
    wandb = {"type": "wandb", "wandb": {"project": "caps"}}
    refused = create(http, training_file=file_id, integrations=[asked, wandb]).json()["error"]
    assert refused["param"] == "integrations.1.type"
    assert "there are: mlflow" in refused["message"]


def test_another_shape_than_that_of_the_starting_adapter_is_refused(
    http: httpx.Client, file_id: str, engine: Engine, project: ProjectKey
) -> None:
    """Told by the first job of its line; a model with full weights takes an adapter of any shape."""

    def made(model: str, **options: Any) -> str:
        with session_scope(engine) as session:
            return make_model(session, project.owner, model=model, **supervised(**options))

    first = made(MODEL, lora={"r": 4, "target_modules": ["q_proj", "v_proj"]})
    second, full, plain = made(first), made(first, weights="full"), made(MODEL)
    same = {"r": 4, "target_modules": ["v_proj", "q_proj"]}
    for model, lora, wrong in (
        (first, {**same, "r": 8}, ("r", "8 was asked for, but the adapter that this job goes on training has 4")),
        (second, {**same, "alpha": 8}, ("alpha", "8.0 was asked for")),
        (
            second,
            {"r": 4, "target_modules": ["q_proj"]},
            ("target_modules", "has ['q_proj', 'v_proj']; leave"),
        ),
        (made(full), {"r": 4}, ("r", "4 was asked for, but the adapter that this job goes on training has 16")),
        (plain, {"dora": True}, ("dora", "True was asked for")),
        (second, same, None),
        (second, {"r": 4}, None),  # whether it has all layers is the trainer's to see
        (full, {"r": 8}, None),
        (plain, {}, None),
    ):
        answer = create(http, training_file=file_id, model=model, **supervised(lora=lora))
        assert answer.status_code == (400 if wrong else 200), answer.text
        if wrong:
            told = answer.json()["error"]
            assert told["param"] == f"method.supervised.lora.{wrong[0]}"
            assert wrong[1] in told["message"]


def test_the_same_file_is_no_validation_file(http: httpx.Client, file_id: str) -> None:
    answer = create(http, training_file=file_id, validation_file=file_id)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "validation_file")


@pytest.mark.parametrize(
    "path", ["/v1/files/%00", "/v1/fine_tuning/jobs/%00", "/v1/models/a%00b", "/v1/models/..%2f..%2fx"]
)
def test_ids_with_nul_or_dots_do_no_harm(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code in (400, 404)


def test_models_are_those_of_the_catalogue(http: httpx.Client) -> None:
    ids = [model["id"] for model in http.get("/v1/models").json()["data"]]
    assert ids == ["smollm2-135m-instruct", MODEL]
    assert http.get(f"/v1/models/{MODEL}").json()["id"] == MODEL
    assert http.get("/v1/models/smollm2").json()["id"] == "smollm2-135m-instruct"


def test_a_job_without_gpu_runs_nowhere_else(http: httpx.Client, file_id: str, engine: Engine) -> None:
    job_id = create(http, training_file=file_id, resources={"gpus": 1}).json()["id"]
    with session_scope(engine) as session:
        assert session.get_one(Job, job_id).needed_devices == 1


def test_a_base_of_four_bits_waits_for_a_gpu(http: httpx.Client, file_id: str, engine: Engine) -> None:
    job_id = create(http, training_file=file_id, **supervised(quantization="4bit")).json()["id"]
    with session_scope(engine) as session:
        assert session.get_one(Job, job_id).needed_devices == 1
    refused = create(http, training_file=file_id, **supervised(quantization="4bit"), resources={"gpus": 0})
    assert (refused.status_code, "resources.gpus is 0" in refused.json()["error"]["message"]) == (400, True)


def test_a_base_model_is_not_the_projects_to_delete(http: httpx.Client) -> None:
    for name in (MODEL, "smollm2"):
        answer = http.delete(f"/v1/models/{name}")
        assert (answer.status_code, answer.json()["error"]["param"]) == (403, "model")
        assert "base model" in answer.json()["error"]["message"]


def test_an_alias_is_kept_as_asked_and_the_job_says_what_it_stands_for(http: httpx.Client, file_id: str) -> None:
    job = create(http, training_file=file_id, model="smollm2").json()
    assert (job["model"], job["base_model"]) == ("smollm2", "smollm2-135m-instruct")
    events = http.get(f"/v1/fine_tuning/jobs/{job['id']}/events").json()["data"]
    assert events[-2]["message"] == (
        "Model smollm2 stands for smollm2-135m-instruct here (HuggingFaceTB/SmolLM2-135M-Instruct): "
        "that is what is trained"
    )


def test_metadata_narrows_the_list(http: httpx.Client, file_id: str) -> None:
    ids = [
        create(http, training_file=file_id, metadata=m).json()["id"] for m in (None, {"a": "1"}, {"a": "1", "b": "2"})
    ]

    def listed(**params: str) -> list[str]:
        return [job["id"] for job in http.get("/v1/fine_tuning/jobs", params=params).json()["data"]]

    assert listed(**{"metadata[a]": "1"}) == [ids[2], ids[1]]
    assert listed(**{"metadata[a]": "1", "metadata[b]": "2"}) == [ids[2]]
    assert listed(**{"metadata[a]": "2"}) == []
    assert listed(metadata="null") == [ids[0]]
    odd = create(http, training_file=file_id, metadata={"a]b": "1"}).json()["id"]
    assert listed(**{"metadata[a]b]": "1"}) == [odd]


@pytest.mark.parametrize(
    ("path", "param", "words"),
    [
        ("/v1/fine_tuning/jobs?stauts=queued", "stauts", "status"),
        ("/v1/fine_tuning/jobs?metadata[a=1", "metadata[a", "metadata[key]"),
        ("/v1/fine_tuning/jobs?metadata=1", "metadata", "'null'"),
        ("/v1/files?metadata[a]=1", "metadata[a]", "purpose"),
        ("/v1/me?limit=3", "limit", "has none"),
    ],
)
def test_query_parameters_that_a_route_has_not_are_refused(
    http: httpx.Client, path: str, param: str, words: str
) -> None:
    answer = http.get(path)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param
    assert words in error["message"]


def test_who_has_no_key_is_not_told_about_parameters(anonymous: httpx.Client) -> None:
    assert anonymous.get("/v1/fine_tuning/jobs?stauts=queued").status_code == 401
