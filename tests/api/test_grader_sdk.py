"""Graders by our own client and command line, against the served API."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tunesmith import AsyncTunesmith, BadRequestError, Tunesmith

from tests.conftest import ProjectKey

MATH = {"type": "math", "name": "right", "reference": "{{ item.answer }}"}
BROKEN = {"type": "python", "name": "p", "source": "x = 1\nx = = 2\n"}


def test_the_client(http: httpx.Client, project: ProjectKey) -> None:
    base_url = f"{http.base_url}/v1"
    with Tunesmith(base_url=base_url, api_key=project.key) as client:
        graders = client.fine_tuning.graders
        assert graders.validate(MATH).grader == {**MATH, "input": "{{ sample.output_text }}"}
        result = graders.run(MATH, "It is 1/2.", item={"answer": "0.5"})
        assert (result.reward, result.metadata.name, result.metadata.errors["details"]) == (1, "right", [])
        result = graders.run(MATH, "It is 1/2.")
        assert (result.reward, result.metadata.errors["invalid_variable_error"]) == (0, True)
        with pytest.raises(BadRequestError, match="line 2: SyntaxError") as refused:
            graders.validate(BROKEN)
        assert (refused.value.param, refused.value.code) == ("grader.source", "invalid_grader")

    async def twin() -> None:
        async with AsyncTunesmith(base_url=base_url, api_key=project.key) as client:
            assert (await client.fine_tuning.graders.run(MATH, "7", item={"answer": "7"})).reward == 1

    asyncio.run(twin())


def test_the_command_line(http: httpx.Client, project: ProjectKey, tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text("type: math\nname: right\nreference: '{{ item.answer }}'\n")
    (tmp_path / "broken.json").write_text(json.dumps(BROKEN))
    (tmp_path / "row.json").write_text('{"answer": "0.5"}')

    def graders(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "TUNESMITH_BASE_URL": f"{http.base_url}/v1", "TUNESMITH_API_KEY": project.key}
        command = [sys.executable, "-m", "tunesmith", "graders", *arguments]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)

    assert graders("validate", "good.yaml").stdout == "good.yaml: usable\n"
    done = graders("run", "good.yaml", "--sample", "It is 1/2.", "--item", "row.json")
    assert (done.stdout, done.returncode) == ("reward       1\n", 0)
    told = json.loads(graders("--format", "json", "run", "good.yaml", "--sample", "1").stdout)
    assert told["metadata"]["errors"]["details"] == [
        "reference: {{ item.answer }}: item has no 'answer'; it has no keys"
    ]
    refused = graders("validate", "broken.json")
    assert refused.returncode == 6
    assert "grader.source: line 2" in refused.stderr
