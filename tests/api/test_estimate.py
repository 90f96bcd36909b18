"""Estimates and previews over HTTP, with the card of the tiny model in the store and no worker."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, func, update

from core.db import session_scope
from core.estimate import process
from core.files.report import SKETCH_VERSION, sketch_key
from core.models import File, Job, Metric, Worker
from core.rows.survey import Survey
from core.rows.validate import validate
from core.storage import Storage
from tests.api.test_files import upload
from tests.cards import ADAPTER_PARAMETERS, CHATML, FACTS
from tests.conftest import ProjectKey

MODEL = "tiny-random-llama"


def processed(http: httpx.Client, engine: Engine, rows: list[dict[str, Any]]) -> str:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    file_id = upload(http, content).json()["id"]
    with session_scope(engine) as session:
        session.execute(update(File).where(File.id == file_id).values(status="processed", rows=len(rows)))
    return file_id


def chat(question: str, answer: str, *, system: str | None = None) -> dict[str, Any]:
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": ([{"role": "system", "content": system}] if system else []) + turns}


def estimate(http: httpx.Client, file_id: str, **body: Any) -> httpx.Response:
    return http.post("/v1/fine_tuning/jobs/estimate", json={"model": MODEL, "training_file": file_id, **body})


def codes(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 200, answer.text
    return {warning["code"] for warning in answer.json()["warnings"]}


def test_a_card_that_is_not_there_yet_is_waited_for(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    file_id = processed(http, engine, [chat("a", "b")])
    preview = http.get(f"/v1/files/{file_id}/preview", params={"model": MODEL})
    for answer in (estimate(http, file_id), preview):
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_card_pending")
        assert int(answer.headers["retry-after"]) > 0
    publish_card()
    assert estimate(http, file_id).status_code == 200


def test_tokens_and_steps_of_a_file_by_hand(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    rows = [chat("a" * i, "b" * 10) for i in range(1, 41)]
    answer = estimate(http, processed(http, engine, rows)).json()
    # <|im_start|> user \n … <|im_end|> \n <|im_start|> assistant \n … <|im_end|> \n
    lengths = [1 + 5 + i + 2 + 1 + 10 + 10 + 2 for i in range(1, 41)]
    assert answer["tokens"]["total"] == sum(lengths)
    assert answer["tokens"]["trained"] == 40 * 11
    assert answer["tokens"]["padding_saved"] > 0
    assert (answer["exact"], answer["sampled_rows"], answer["interval"]) == (True, None, None)
    assert (answer["epochs"], answer["batch_size"], answer["rows"]["total"]) == (3, 8, 40)
    assert answer["steps"] % 3 == 0
    assert http.get("/v1/fine_tuning/jobs").json()["data"] == []


def test_time_and_cost_are_null_until_something_was_measured(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None], served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_card()
    file_id = processed(http, engine, [chat("a", "b")] * 20)
    answer = estimate(http, file_id).json()
    assert (answer["time"]["seconds"], answer["cost"]["amount"]) == (None, None)
    assert "no job on tiny-random-llama has finished on a CPU" in answer["time"]["reason"]
    assert "no price" in answer["cost"]["reason"]

    job_id = http.post("/v1/fine_tuning/jobs", json={"model": MODEL, "training_file": file_id}).json()["id"]
    with session_scope(engine) as session:
        session.execute(update(Job).values(status="succeeded"))
        for step, speed in enumerate((10.0, 100.0, 100.0, 1000.0, None)):
            session.add(Metric(job_id=job_id, step=step, token=1, data={"tokens_per_second": speed}))
    monkeypatch.setattr(served.app.state.settings, "cost_per_cpu_hour", 0.36)
    answer = estimate(http, file_id).json()
    expected = answer["tokens"]["total"] * answer["epochs"] / 100
    assert answer["time"] == {
        "seconds": pytest.approx(expected), "tokens_per_second": 100.0, "measured_jobs": 1, "reason": None
    }  # fmt: skip
    assert answer["cost"]["amount"] == pytest.approx(expected * 0.0001)


def test_memory_is_compared_with_the_workers_that_are_there(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    file_id = processed(http, engine, [chat("a", "b")] * 200)
    assert estimate(http, file_id).json()["memory"]["devices"] == []
    with session_scope(engine) as session:
        common = {"current_attempts": [], "started_at": func.now(), "queue": "train", "slots": 2}
        session.add(Worker(id="small", devices=[], memory_bytes=1000, last_seen=func.now(), **common))
        session.add(Worker(id="gone", devices=[0, 1], memory_bytes=10**12, last_seen=func.to_timestamp(0), **common))
    answer = estimate(http, file_id)
    assert answer.json()["memory"]["devices"] == [{"kind": "cpu", "slots": 2, "memory_bytes": 1000, "fits": False}]
    assert "memory" in codes(answer)
    memory = answer.json()["memory"]
    assert memory["frozen_bytes"] == FACTS["parameters"] * 4
    assert memory["trained_bytes"] == ADAPTER_PARAMETERS * 16 * 16
    parts = ("frozen_bytes", "trained_bytes", "activations_bytes", "logits_bytes")
    assert memory["total_bytes"] == sum(memory[part] for part in parts)
    full = {"type": "supervised", "supervised": {"weights": "full"}}
    memory = estimate(http, file_id, method=full).json()["memory"]
    assert (memory["frozen_bytes"], memory["trained_bytes"]) == (0, FACTS["parameters"] * 16)
    for_dpo = processed(http, engine, [{"prompt": "a", "chosen": "b", "rejected": "c"}] * 20)
    memory = estimate(http, for_dpo, method={"type": "dpo", "dpo": {"weights": "full"}}).json()["memory"]
    assert (memory["frozen_bytes"], memory["trained_bytes"]) == (FACTS["parameters"] * 4, FACTS["parameters"] * 16)
    four_bits = {"type": "supervised", "supervised": {"quantization": "4bit"}}
    answer = estimate(http, file_id, method=four_bits)
    assert answer.json()["memory"]["frozen_bytes"] == FACTS["parameters"] // 2
    assert "no_gpu" in codes(answer)
    with session_scope(engine) as session:
        session.execute(update(Worker).values(memory_bytes=10**9))
    assert "memory" not in codes(estimate(http, file_id))
    assert "no_gpu" in codes(estimate(http, file_id, resources={"gpus": 1}))


def test_replayed_rows_are_counted(http: httpx.Client, engine: Engine, publish_card: Callable[..., None]) -> None:
    publish_card()
    rows = [chat(f"question {i}", "answer") for i in range(80)]
    training, replayed = processed(http, engine, rows), processed(http, engine, rows[:40])

    def steps(**options: Any) -> int:
        supervised = {"packing": "off", "hyperparameters": {"batch_size": 1, "n_epochs": 1}, **options}
        return estimate(http, training, method={"type": "supervised", "supervised": supervised}).json()["steps"]

    unlike = processed(http, engine, [*rows[:39], chat("long " * 1000, "answer")])
    supervised = {"long_rows": "error", "replay": {"file": unlike, "fraction": 0.2}, "max_length": 64}
    told = estimate(http, training, method={"type": "supervised", "supervised": supervised})
    assert [warning["message"][:24] for warning in told.json()["warnings"] if warning["code"] == "rows_too_long"] == [
        "1 rows of the replay fil"
    ]
    assert steps() == 80
    assert steps(replay={"file": replayed, "fraction": 0.2}) == 100
    assert steps(replay={"file": replayed, "fraction": 0.5}) == 120  # all there are


def test_pitfalls_are_told_by_code(http: httpx.Client, engine: Engine, publish_card: Callable[..., None]) -> None:
    publish_card()
    draw = random.Random(0)
    good = [chat(f"question {i} {draw.random()}", f"answer {draw.random()}") for i in range(150)]
    clean, held_out = processed(http, engine, good), processed(http, engine, [chat("held", "out")])

    def told(file_id: str, **body: Any) -> set[str]:
        return codes(estimate(http, file_id, **{"validation_file": held_out, **body}))

    assert told(clean) == set()
    assert told(clean, validation_file=None) == {"no_validation_file"}
    assert told(clean, method=supervised(n_epochs=20)) == {"too_many_epochs"}
    assert told(processed(http, engine, good[:20])) == {"too_few_rows"}
    assert told(processed(http, engine, good + good[:50])) == {"duplicates"}
    leaking = estimate(http, clean, validation_file=processed(http, engine, [chat("x", "y"), good[7]]))
    assert codes(leaking) == {"leakage"}
    assert "line 8" in leaking.json()["warnings"][0]["message"]
    assert told(processed(http, engine, [*good, chat("x", "y" * 1500)])) == {"length_outliers"}
    for compared, expected in ((100, set()), (50, {"near_duplicates"})):  # the share is that of the rows compared
        with session_scope(engine) as session:
            report = {"duplicates": {"exact": 0, "near": 1, "near_rows_compared": compared}}
            session.execute(update(File).where(File.id == clean).values(report=report))
        assert told(clean) == expected


def test_rows_of_the_validation_file_must_fit_too(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    training = processed(http, engine, [chat(f"a{i}", f"b{i}") for i in range(120)])
    validation = processed(http, engine, [chat("c", "d"), chat("c" * 200, "d")])
    answer = estimate(http, training, validation_file=validation, method=supervised(max_length=100))
    assert codes(answer) == {"rows_too_long"}
    assert "of the validation_file have more than 100 tokens (line 2)" in answer.json()["warnings"][0]["message"]
    rows = answer.json()["validation_rows"]
    assert (rows["total"], rows["too_long"], [example["row"] for example in rows["examples"]]) == (2, 1, [2])
    assert estimate(http, training).json()["validation_rows"] is None
    nothing = processed(http, engine, [chat("c" * 200, "d")] * 2)
    answer = estimate(http, training, validation_file=nothing, method=supervised(max_length=100))
    assert codes(answer) >= {"all_rows_too_long"}
    assert "no row of the validation_file is left" in answer.json()["warnings"][0]["message"]


def test_rows_that_a_job_holds_out_are_rows_to_validate_on(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    training = processed(http, engine, [chat(f"a{i}", f"b{i}") for i in range(120)])
    split = {"type": "supervised", "supervised": {"validation_split": 0.5}}
    whole, half = estimate(http, training), estimate(http, training, method=split)
    assert codes(whole) - codes(half) == {"no_validation_file"}
    assert half.json()["steps"] < whole.json()["steps"]
    # Half of the tokens in half of the sequences: as many in each.
    assert half.json()["memory"]["logits_bytes"] == pytest.approx(whole.json()["memory"]["logits_bytes"], rel=0.2)


def validated(http: httpx.Client, engine: Engine, storage: Storage, rows: list[dict[str, Any]], folder: Path) -> str:
    """Upload rows, with the report and the sketch that a worker would add."""
    file_id = processed(http, engine, rows)
    path, survey = folder / file_id, Survey()
    path.write_bytes(http.get(f"/v1/files/{file_id}/content").content)
    report = validate(path, name="rows.jsonl", survey=survey).figures()
    path.write_bytes(survey.sketch().to_bytes())
    with session_scope(engine) as session:
        file = session.get_one(File, file_id)
        stored = storage.put_file(sketch_key(file.object_key), path)
        file.report = {**report, "sketch": {"version": SKETCH_VERSION, "bytes": stored.bytes, "sha256": stored.sha256}}
    return file_id


def test_what_validation_found_is_warned_of(
    http: httpx.Client, engine: Engine, storage: Storage, publish_card: Callable[..., None], tmp_path: Path
) -> None:
    publish_card()
    rows = [chat(f"question {i} {i * 7919}", f"answer {i * 104729}") for i in range(150)]
    words = [f"{i * 7919 % 997:03d} weighs {i * 31 % 89} and" for i in range(14)]
    rows.append(chat("tell me what each thing weighs", " ".join(words)))
    personal = chat("write to jo@example.com", "yes")
    held_out = {
        "nothing": ([chat("held", "out")], set[str]()),
        "the same row": ([rows[5]], {"leakage"}),
        "the same question": ([chat("question 5 39595", "another one")], {"shared_prompts"}),
        "nearly the same": ([chat("tell us what each thing weighs", " ".join(words))], {"near_leakage"}),
    }
    training = validated(http, engine, storage, rows, tmp_path)
    for found, expected in held_out.values():
        validation = validated(http, engine, storage, found, tmp_path)
        assert codes(estimate(http, training, validation_file=validation)) == expected
    training = validated(http, engine, storage, [*rows, personal], tmp_path)
    assert codes(estimate(http, training)) == {"personal_data", "no_validation_file"}


def test_a_job_that_asks_for_no_gpu_is_estimated_without_one(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    file_id = processed(http, engine, [chat("a", "b")] * 200)
    with session_scope(engine) as session:
        worker = {"current_attempts": [], "started_at": func.now(), "last_seen": func.now(), "queue": "train"}
        session.add(Worker(id="gpu", devices=[0], slots=1, memory_bytes=10**12, **worker))
    weights = {
        gpus: estimate(http, file_id, resources={"gpus": gpus}).json()["memory"]["frozen_bytes"] for gpus in (0, 1)
    }
    assert weights[0] == 2 * weights[1]  # float32, bfloat16


def supervised(max_length: int | None = None, **hyperparameters: Any) -> dict[str, Any]:
    options: dict[str, Any] = {"hyperparameters": hyperparameters}
    return {"type": "supervised", "supervised": options | ({"max_length": max_length} if max_length else {})}


def test_rows_that_are_too_long_are_counted_and_shown(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    rows = [chat("a" * (200 if i in (3, 77) else 5), f"b{i}") for i in range(120)]
    file_id = processed(http, engine, rows)
    answer = estimate(http, file_id, method=supervised(max_length=100))
    assert "rows_too_long" in codes(answer)
    assert answer.json()["rows"]["too_long"] == 2
    assert [example["row"] for example in answer.json()["rows"]["examples"]] == [4, 78]
    assert "but max_length is 100" in answer.json()["rows"]["examples"][0]["reason"]
    answer = estimate(http, processed(http, engine, [rows[3]] * 2), method=supervised(max_length=100))
    assert "all_rows_too_long" in codes(answer)
    assert (answer.json()["steps"], answer.json()["tokens"]["total"]) == (0, 0)


def test_rows_that_are_too_long_hide_none_that_the_template_refuses(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card("{% if 'bad' in messages[0].content %}{{ raise_exception('no') }}{% endif %}" + CHATML)
    file_id = processed(http, engine, [chat("a" * 200, "b"), chat("bad", "b")])
    answer = estimate(http, file_id, method=supervised(max_length=100))
    assert {"all_rows_too_long", "template_refuses_rows"} <= codes(answer)


def test_templates_that_drop_what_rows_have(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card(CHATML.replace("{{ '<|im_start|>'", "{% if message.role != 'system' %}{{ '<|im_start|>'", 1)
        .replace("{% endfor %}", "{% endif %}{% endfor %}", 1))  # fmt: skip
    rows = [chat(f"a{i}", f"b{i}", system="s" * 30) for i in range(110)]
    told = codes(estimate(http, processed(http, engine, rows)))
    assert told == {"template_ignores_system", "no_validation_file"}


@pytest.mark.parametrize(
    "template",
    [
        "{% for a in messages * 9999 %}{% for b in messages * 9999 %}{% for c in messages * 9999 %}{% endfor %}"
        "{% endfor %}{% endfor %}",
        "{% set ns = namespace(s='x' * 1000000) %}{% for a in range(40) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{{ '%99999999999d' % 1 }}",
    ],
    ids=["loops", "doubling", "formatting"],
)
def test_a_hostile_template_ends_with_its_child(
    http: httpx.Client,
    engine: Engine,
    publish_card: Callable[..., None],
    template: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("core.estimate.process.WALL_SECONDS", 4.0)
    publish_card(template)
    file_id = processed(http, engine, [chat("a", "b")])
    preview = http.get(f"/v1/files/{file_id}/preview", params={"model": MODEL})
    if preview.status_code == 200:
        assert "refuses this chat" in preview.json()["data"][0]["error"]
    else:
        assert (preview.status_code, preview.json()["error"]["code"]) == (400, "not_measurable")
    assert http.get("/healthz").status_code == 200


def test_no_more_children_than_places_and_no_secret_in_them(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_card()
    file_id = processed(http, engine, [chat("a", "b")])
    monkeypatch.setattr("core.estimate.process.PATIENCE", 0.1)
    with process.turn(), process.turn():
        answer = estimate(http, file_id)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "estimates_busy")
    assert estimate(http, file_id).status_code == 200
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert "secret" not in process._environment().values()
    assert not [name for name in process._environment() if name.startswith("TUNESMITH_")]


def test_a_preview_shows_what_is_trained_masked_and_cut_off(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None]
) -> None:
    publish_card()
    rows = [chat(f"frage {i}", "ja 😀") for i in range(4)] + [chat("x" * 40, "nein")]
    file_id = processed(http, engine, rows)
    page = http.get(f"/v1/files/{file_id}/preview", params={"model": MODEL, "offset": 1, "limit": 2}).json()
    assert (page["object"], page["has_more"], [row["row"] for row in page["data"]]) == ("list", True, [2, 3])
    row = page["data"][0]
    assert row["text"] == "<|im_start|>user\nfrage 1<|im_end|>\n<|im_start|>assistant\nja 😀<|im_end|>\n"
    trained = [token for token in row["tokens"] if token["state"] == "trained"]
    assert [token["text"] for token in trained] == ["j", "a", " ", "😀", "😀", "😀", "😀", "<|im_end|>"]
    assert (row["trained_tokens"], row["total_tokens"]) == (8, len(row["tokens"]))
    last = {"model": MODEL, "offset": 4, "limit": 20, "max_length": 32}
    page = http.get(f"/v1/files/{file_id}/preview", params=last).json()
    assert (page["has_more"], page["data"][0]["truncated"]) == (False, True)
    assert [token["state"] for token in page["data"][0]["tokens"][31:33]] == ["masked", "truncated"]


def test_only_processed_training_files_of_the_owner(
    http: httpx.Client, engine: Engine, publish_card: Callable[..., None], make_project: Callable[[str], ProjectKey]
) -> None:
    publish_card()
    file_id = upload(http).json()["id"]
    url, model = f"/v1/files/{file_id}/preview", {"model": MODEL}
    for answer in (http.get(url, params=model), estimate(http, file_id)):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_state")
        assert "has not been validated yet" in answer.json()["error"]["message"]
    other = {"authorization": f"Bearer {make_project('other').key}"}
    assert http.get(url, params=model, headers=other).status_code == 404
    body = {"model": MODEL, "training_file": file_id}
    assert http.post("/v1/fine_tuning/jobs/estimate", json=body, headers=other).status_code == 404
    assert http.get(url, params={"model": "unknown"}).json()["error"]["param"] == "model"
    assert http.get(url, params={**model, "limit": 21}).json()["error"]["param"] == "limit"
    assert http.get(url, params={**model, "offset": -1}).json()["error"]["param"] == "offset"
    evals = upload(http, purpose="evals").json()["id"]
    assert "not 'fine-tune'" in http.get(f"/v1/files/{evals}/preview", params=model).json()["error"]["message"]
    refused = estimate(http, file_id, n_epochs=1)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "n_epochs")
    with session_scope(engine) as session:
        session.execute(update(File).values(status="processed"))
    too_long = estimate(http, file_id, method=supervised(max_length=4096))
    assert too_long.json()["error"]["param"] == "method.supervised.max_length"
    assert http.get(url, params={**model, "max_length": 4096}).json()["error"]["param"] == "max_length"
