"""The lines of `curl` in the README, as they stand there."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from tests.api.conftest import Served
from tests.conftest import ProjectKey


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl: that the README's lines work is not shown")
def test_curl_uploads_a_file_and_creates_a_job(
    served: Served, http: httpx.Client, project: ProjectKey, repository_root: Path, tmp_path: Path
) -> None:
    (tmp_path / ".tunesmith").mkdir()
    env = f"TUNESMITH_BASE_URL={served.url}/v1\nTUNESMITH_API_KEY={project.key}\n"
    (tmp_path / ".tunesmith" / "env").write_text(env)
    (tmp_path / "examples").symlink_to(repository_root / "examples")
    block = re.search(r"^```sh\n(.*?)^```$", (repository_root / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert block is not None
    begin, upload, create = block[1].splitlines()

    def run(line: str) -> dict[str, str]:
        command = ["sh", "-euc", f"{begin}\n{line.replace('curl', 'curl --silent --show-error', 1)}"]
        return json.loads(subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout)

    file = run(upload)
    assert (file["filename"], file["purpose"]) == ("train.jsonl", "fine-tune")
    assert "file-…" in create
    job = run(create.replace("file-…", file["id"]))
    assert (job["training_file"], job["base_model"]) == (file["id"], "smollm2-135m-instruct")
    assert "/v1/fine_tuning/jobs" in http.get("/openapi.json").json()["paths"]
