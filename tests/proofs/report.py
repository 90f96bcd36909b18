"""What the proofs found: docs/proofs/STAGE.json and STAGE.svg, and docs/proofs.md, which is written from them."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")

from matplotlib import pyplot

from tests.trainers.runs import events

DOCS = Path(__file__).parents[2] / "docs"
STAGES = ("pretraining", "supervised", "reward_model", "dpo", "kto", "ppo", "reinforcement", "reasoning", "chain")
Curve = tuple[list[int], list[float]]  # steps, values
Curves = dict[str, list[Curve]]  # by name, of every seed
HEAD = """# Proofs

Written by `make proofs`, which trains for real on a processor, over several seeds (but for the chain), beside controls
that must not learn, and measures on rows that training never sees. Each figure is one run; a curve is the mean over
seeds, its band their spread.
"""


@dataclass(frozen=True)
class Proof:
    """shows: what must be seen, and what the control is. table: a row a seed, by column. curves: of `measure`."""

    stage: str
    shows: str
    measure: str
    table: list[dict[str, object]]
    curves: Curves


def validated(run_dir: Path, name: str) -> Curve:
    """(steps, values) of a figure of the held-out rows."""
    found = [event for event in events(run_dir, "metrics") if name in event["data"]]
    return [event["step"] for event in found], [event["data"][name] for event in found]


def keep(proof: Proof) -> None:
    """Write the stage's figures and plot."""
    folder = DOCS / "proofs"
    folder.mkdir(exist_ok=True)
    kept = {"date": datetime.now(UTC).date().isoformat(), **asdict(proof)}
    (folder / f"{proof.stage}.json").write_text(json.dumps(kept, indent=1) + "\n")
    _plot(proof, folder / f"{proof.stage}.svg")


def write_page() -> None:
    """Of all stages whose figures are kept."""
    kept = (DOCS / "proofs" / f"{stage}.json" for stage in STAGES)
    pages = [_section(json.loads(path.read_text())) for path in kept if path.exists()]
    if pages:
        (DOCS / "proofs.md").write_text("\n".join([HEAD, *pages]))


def _section(kept: dict[str, object]) -> str:
    table: list[dict[str, object]] = kept["table"]  # pyright: ignore[reportAssignmentType]
    columns = list(table[0])
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(_shown(row[column]) for column in columns)} |" for row in table]
    plot = f"![{kept['measure']}](proofs/{kept['stage']}.svg)\n" if kept["curves"] else ""
    return f"## {kept['stage']}\n\n{kept['shows']} ({kept['date']})\n\n" + "\n".join(lines) + f"\n\n{plot}"


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value).replace("\n", " ")


def _plot(proof: Proof, path: Path) -> None:
    if not proof.curves:
        return
    mpl.rcParams["svg.hashsalt"] = proof.stage  # the same figures make the same file
    figure, axes = pyplot.subplots(figsize=(6, 3), layout="constrained")
    for name, runs in proof.curves.items():
        steps = runs[0][0]
        values = list(zip(*(run[1] for run in runs), strict=True))
        (line,) = axes.plot(steps, [sum(at) / len(at) for at in values], label=name)
        axes.fill_between(
            steps, [min(at) for at in values], [max(at) for at in values], alpha=0.2, color=line.get_color()
        )
    axes.set_xlabel("step")
    axes.set_ylabel(proof.measure)
    axes.legend(frameon=False)
    figure.savefig(path, format="svg", metadata={"Date": None})
    pyplot.close(figure)
