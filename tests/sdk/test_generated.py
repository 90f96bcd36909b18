"""What is written by scripts is what they would write now, and means what the server means."""

import runpy
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from tunesmith import specs

from core.specs import job, method


@pytest.mark.parametrize(
    ("script", "function"), [("copy_core", "copies"), ("make_sync", "written"), ("make_docs", "pages")]
)
def test_generated_files_are_up_to_date(repository_root: Path, script: str, function: str) -> None:
    expected = runpy.run_path(str(repository_root / "sdk" / "tools" / f"{script}.py"))[function]()
    stale = [path.name for path, text in expected.items() if not path.exists() or path.read_text() != text]
    assert stale == [], f"run: python sdk/tools/{script}.py"


@pytest.mark.parametrize(
    ("ours", "theirs"), [(specs.JobSpec, job.JobSpec), (specs.SupervisedMethod, method.SupervisedMethod)]
)
def test_the_typed_specs_are_the_servers(ours: type[BaseModel], theirs: type[BaseModel]) -> None:
    assert ours.model_json_schema() == theirs.model_json_schema()


def test_every_part_of_the_spec_has_a_name_to_import() -> None:
    assert set(specs.JobSpec.model_json_schema()["$defs"]) <= set(specs.__all__)


def test_every_field_of_the_spec_is_a_keyword_of_create() -> None:
    assert set(specs.JobFields.__annotations__) == set(job.JobSpec.model_fields)


@pytest.mark.parametrize(
    ("spec", "fields", "sent"),
    [
        (
            None,
            {"model": "m", "seed": None, "method": specs.SupervisedMethod(supervised=specs.Supervised(max_length=64))},
            {"model": "m", "method": {"supervised": {"max_length": 64}}},
        ),
        (
            specs.JobSpec(model="m", training_file="file-1", suffix="a"),
            {"suffix": "b"},
            {"model": "m", "training_file": "file-1", "suffix": "b"},
        ),
        ({"model": "m", "from_a_newer_server": 1}, {}, {"model": "m", "from_a_newer_server": 1}),
    ],
    ids=["model as a field", "spec and field", "plain"],
)
def test_what_is_sent_of_a_spec(spec: Any, fields: dict[str, Any], sent: dict[str, Any]) -> None:
    assert specs.body(spec, fields) == sent
