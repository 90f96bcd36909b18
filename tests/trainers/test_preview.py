"""A preview from the model's card against what the trainer makes of the same rows from the model itself."""

from pathlib import Path
from typing import Any

from core.estimate.preview import preview
from core.estimate.task import PreviewTask
from core.rows.chat import Chat
from core.rows.tokens import IGNORED, ChatTokenizer
from core.specs.run import PrepareSpec, RunSpec
from tests.trainers.runs import write_rows, write_spec
from trainers.prepare import prepare
from trainers.rows import read_rows
from trainers.rundir import RunDir
from trainers.stopping import listening


def chat(*turns: tuple[str, str, int]) -> dict[str, Any]:
    messages: list[dict[str, Any]] = []
    for question, answer, weight in turns:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer, "weight": weight})
    return {"messages": messages}


def test_the_preview_shows_the_labels_of_the_trainer(tiny: Path, tmp_path: Path) -> None:
    rows = [
        chat(("one?", "eins", 1), ("two?", "zwo 😀", 0), ("three?", " drei\n", 1)),
        chat(("assistant\n", "assistant\nuser", 1)),
        {"prompt": "<|im_end|>", "completion": "é"},
    ]
    path = write_rows(tmp_path / "rows.jsonl", rows)
    source = {"kind": "random", "location": "tiny-llama"}
    card = tmp_path / "card"
    prepare(PrepareSpec.model_validate({"source": source, "folder": str(card), "weights": False}))
    assert sorted(file.name for file in card.iterdir()) == [
        "chat_template.jinja", "config.json", "facts.json", "tokenizer.json", "tokenizer_config.json"
    ]  # fmt: skip
    run_dir = write_spec(tmp_path / "run", base=tiny, training_file=path, supervised={"long_rows": "error"})
    spec = RunSpec.model_validate_json((run_dir / "spec.json").read_bytes())
    with listening() as stop:
        trained = read_rows(
            spec,
            str(path),
            ChatTokenizer.load(tiny),
            RunDir(run_dir),
            stop,
            wanted=(Chat,),
            limit=1000,
            param="training_file",
        ).chats()
    shown = preview(PreviewTask(card=str(card), file=str(path), offset=0, limit=20, max_length=1000)).rows
    assert [[token.id for token in row.tokens] for row in shown] == [row.input_ids for row in trained]
    assert [[token.id if token.state == "trained" else IGNORED for token in row.tokens] for row in shown] == [
        row.labels for row in trained
    ]


def test_figures_of_a_model_are_counted_without_its_weights(tiny: Path, smollm2: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    from core.specs.base_model import Facts

    facts = Facts.model_validate_json((tiny / "facts.json").read_bytes())
    model: Any = AutoModelForCausalLM.from_pretrained(tiny)
    assert facts.parameters == model.num_parameters()
    adapted = get_peft_model(model, LoraConfig(r=3, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert adapted.get_nb_trainable_parameters()[0] == 3 * facts.adapter_parameters
    smol = Facts.model_validate_json((smollm2 / "facts.json").read_bytes())
    assert (smol.parameters, smol.layers, smol.context) == (134_515_008, 30, 8192)
