"""The reward models of a ppo job, in its run directory: each whole, whatever it sits on."""

from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from core.ids import new_id
from core.jobs.publishing import Folder
from core.models import Job, Model
from tests.conftest import ProjectKey
from tests.core.factories import make_job, make_model
from tests.worker.test_training import never, store
from worker.context import Context
from worker.inputs import fetch, read_assignment

ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "samples.jsonl")
TOOLS = "additional_chat_templates/tool_use.jinja"
WHOLE = ("config.json", "facts.json", "model.safetensors", "tokenizer.json", TOOLS)
REWARD_MODEL = {"type": "reward_model", "reward_model": {}}
FULL = {"type": "reward_model", "reward_model": {"weights": "full"}}


@pytest.mark.usefixtures("base_model")
def test_each_reward_model_is_fetched_with_what_it_sits_on(
    context: Context, session: Session, project: ProjectKey, tmp_path: Path
) -> None:
    def put(*names: str) -> Folder:
        source, prefix = tmp_path / new_id("folder-"), f"orgs/org/{new_id('folder-')}/"
        source.mkdir()
        for name in names:
            (source / name).parent.mkdir(exist_ok=True)
            (source / name).write_text(f"{prefix}{name}")
        return Folder(prefix, context.storage.put_folder(prefix, source))

    def make(folder: Folder, **spec: object) -> str:
        return make_model(session, project.owner, folder=folder, **spec)

    folders = [put(*ADAPTER), put(*WHOLE), put(*ADAPTER)]
    on_catalogue = make(folders[0], model="tiny-random-llama", method=REWARD_MODEL)
    whole = make(folders[1], model=on_catalogue, method=FULL)
    on_whole = make(folders[2], model=whole, method=REWARD_MODEL)
    names = [on_whole, on_catalogue, whole]
    options = {"reward_models": names}
    job_id = make_job(session, project.owner, method={"type": "ppo", "ppo": options}).id
    job = session.get_one(Job, job_id)
    store(context, session, job.training_file_id or "", tmp_path)
    for model in session.query(Model).where(Model.name.in_(names)):
        model.deleted_at = job.created_at  # which is no reason to do without them

    def read() -> list[tuple[dict[str, str], dict[str, str] | None]]:
        assignment = read_assignment(session, job, token=0, organization_id="org")
        spec = fetch(context, assignment, tmp_path / "run", devices=[], given_up=never)
        return [(content(Path(m.base)), content(Path(m.adapter)) if m.adapter else None) for m in spec.reward_models]

    def content(folder: Path) -> dict[str, str]:
        return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}

    def held(folder: Folder, *names: str) -> dict[str, str]:
        return {name: f"{folder.prefix}{name}" for name in names}

    base = held(folders[1], "config.json", "model.safetensors", "tokenizer.json", TOOLS)
    expected = [
        (base, held(folders[2], *ADAPTER[:3])),
        ({"config.json": "{}"}, held(folders[0], *ADAPTER[:3])),
        (base, None),
    ]
    assert read() == expected
    # From the cache: the store is not asked again.
    for folder in folders:
        for entry in folder.entries:
            context.storage.delete(f"{folder.prefix}{entry.name}")
    assert read() == expected
