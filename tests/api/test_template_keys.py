"""Templates of a job's graders against the keys that its rows have, wherever the templates are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from tests.api.conftest import Served, Upload, judge
from tests.api.test_rollout_jobs import CHECK, JUDGE, MODEL, PROMPT, REWARD_MODEL, create, error, ppo, reinforcement


@pytest.fixture
def file_id(rows: Upload) -> str:
    return rows(PROMPT)


@pytest.mark.parametrize("waits", [False, True])
def test_a_template_that_names_an_unknown_key_fails_the_job_before_it_is_queued(
    http: httpx.Client, engine: Engine, rows: Upload, tmp_path: Path, waits: bool
) -> None:
    method = reinforcement(watch={**CHECK, "reference": "{{ item.anwser }} {{ item.answer }}"})
    file_id = rows(PROMPT, {**PROMPT, "level": 1}, waits=waits)
    job = create(http, file_id, method).json()
    if waits:
        assert job["status"] == "validating_files"
        judge(engine, file_id, tmp_path / "rows")
        job = http.get(f"/v1/fine_tuning/jobs/{job['id']}").json()
    assert (job["status"], job["error"]["param"]) == ("failed", "method.reinforcement.watch.reference")
    assert (
        f"{{{{ item.anwser }}}}: no row of file {file_id} has 'anwser'; they have answer, level"
        in (job["error"]["message"])
    )


WITHOUT = {**CHECK, "reference": "4"}


def asking(reference: str) -> dict[str, Any]:
    """A judge whose second message has that reference in it."""
    part = {"type": "input_text", "text": f"Is it {reference}?"}
    return {**JUDGE, "input": [{"role": "system", "content": "Judge."}, {"role": "user", "content": [part]}]}


def multi(**graders: Any) -> dict[str, Any]:
    return {"type": "multi", "name": "m", "graders": graders, "calculate_output": " + ".join(graders)}


@pytest.mark.parametrize(
    ("type", "key", "grader", "path"),
    [
        ("ppo", "grader", lambda text: {**CHECK, "input": text}, "input"),
        ("ppo", "grader", lambda text: multi(a=WITHOUT, b={**CHECK, "reference": text}), "graders.b.reference"),
        ("ppo", "grader", asking, "input.1.content"),
        ("reinforcement", "grader", lambda text: multi(a=WITHOUT, j=asking(text)), "graders.j.input.1.content"),
        (
            "reinforcement",
            "watch",
            lambda text: {"type": "reasoning", "name": "r", "reference": "4", "quality": asking(text)},
            "quality.input.1.content",
        ),
    ],
)
def test_an_unknown_key_is_found_wherever_templates_are(
    served: Served,
    monkeypatch: pytest.MonkeyPatch,
    http: httpx.Client,
    file_id: str,
    make: Callable[..., str],
    type: str,
    key: str,
    grader: Callable[[str], dict[str, Any]],
    path: str,
) -> None:
    monkeypatch.setattr(served.app.state.settings, "grader_model_url", "http://127.0.0.1:1")
    of_method = {"ppo": ppo(make(model=MODEL, method=REWARD_MODEL)), "reinforcement": reinforcement()}[type]

    def asked(text: str) -> httpx.Response:
        return create(http, file_id, {"type": type, type: {**of_method[type], key: grader(text)}})

    assert asked("{{ item.answer }}").json()["status"] == "validating_files"
    told = asked("{{ item.anwser }}").json()["error"]
    assert told["param"] == f"method.{type}.{key}.{path}"
    assert told["message"].startswith(f"{told['param']}: {{{{ item.anwser }}}}: no row of file {file_id} has 'anwser'")
    param, message = error(asked("{{ itm.answer }}"))
    assert param.startswith(f"method.{type}.{key}.{path}"), "which can name nothing, whatever the rows"
    assert "'{{ itm.answer }}' names nothing" in message


def test_a_validation_file_needs_the_keys_too(http: httpx.Client, rows: Upload) -> None:
    held_out = rows({"problem": "2+2?", "answer": "4"})
    alike = {"type": "text_similarity", "name": "t", "evaluation_metric": "bleu", "input": "{{ item.level.0 }}"}
    method = reinforcement(watch={**alike, "reference": "{{ item.answer }}"})
    job = create(http, rows({**PROMPT, "level": ["a"]}), method, validation_file=held_out).json()
    assert (job["status"], job["error"]["param"]) == ("failed", "method.reinforcement.watch.input")


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"problem": "2+2?", "answer": "4"}, "problem"),
        ({"problem": "2+2?", "reasoning": "Two and two.", "answer": "4"}, "reasoning"),
        (PROMPT, "answer"),
    ],
)
def test_every_key_of_a_row_may_be_named(http: httpx.Client, rows: Upload, row: dict[str, Any], key: str) -> None:
    method = reinforcement(grader={**CHECK, "reference": f"{{{{ item.{key} }}}}"})
    assert create(http, rows(row), method).json()["status"] == "validating_files"
    method = reinforcement(grader={**CHECK, "reference": "{{ item.other }}"})
    assert create(http, rows(row), method).json()["status"] == "failed"
