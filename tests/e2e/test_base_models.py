"""One model from three places of the catalogue: the same bytes, so the same adapter."""

import subprocess
import sys
from pathlib import Path

import pytest
from tunesmith import BadRequestError, Tunesmith

from core.specs.base_model import BaseModelSource
from core.specs.run import PrepareSpec
from core.storage import Storage
from tests.conftest import ProjectKey
from tests.e2e.rows import upper_case
from tests.stack import Stack


def test_folder_store_and_package_give_the_same_adapter(
    stack: Stack, project: ProjectKey, storage: Storage, tmp_path: Path
) -> None:
    folder = stack.folder / "models" / "tiny"
    spec = PrepareSpec(source=BaseModelSource(kind="random", location="tiny-llama"), folder=str(folder))
    (tmp_path / "prepare.json").write_text(spec.model_dump_json())
    subprocess.run([sys.executable, "-m", "trainers.prepare", tmp_path / "prepare.json"], check=True)
    storage.put_folder("models/tiny/", folder)

    (tmp_path / "rows.jsonl").write_bytes(upper_case(20, seed=0))
    with Tunesmith(base_url=f"{stack.url}/v1", api_key=project.key) as client:
        rows = client.files.create(file=tmp_path / "rows.jsonl").id
        jobs = [
            client.fine_tuning.jobs.create(model=model, training_file=rows, seed=7)
            for model in ("tiny-random-llama", "tiny-from-folder-alias", "tiny-from-store")
        ]
        ended = [client.fine_tuning.jobs.wait(job.id, timeout=120) for job in jobs]
        digests = {
            artifact.sha256
            for job in ended
            for artifact in client.fine_tuning.jobs.artifacts.list(job.id)
            if artifact.name == "adapter_model.safetensors"
        }
        assert len(digests) == 1
        assert [job.base_model for job in ended] == ["tiny-random-llama", "tiny-from-folder", "tiny-from-store"]
        with pytest.raises(BadRequestError, match=r"base models here are .*tiny-from-store"):
            client.fine_tuning.jobs.create(model="gpt-5", training_file=rows)
