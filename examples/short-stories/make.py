"""Write train.jsonl, validation.jsonl and corpus.txt: short stories about animals that look for something.

    python examples/short-stories/make.py

corpus.txt holds the stories of train.jsonl as one plain text, with a line between them that ends a document.
"""

import json
import random
from pathlib import Path

SEED = 20261126
ANIMALS = ("fox", "hedgehog", "heron", "otter", "badger", "magpie", "mole", "hare")
NAMES = ("Ada", "Bo", "Cleo", "Dario", "Enna", "Finn", "Greta", "Hugo")
THINGS = ("a brass key", "a red button", "a ripe pear", "a lost letter", "a silver bell", "a warm scarf")
PLACES = ("under the old bridge", "behind the mill", "at the edge of the marsh", "in the empty barn", "on the hill")
HELPERS = ("an owl", "a toad", "a snail", "a pony")
ENDS = (
    "and slept well that night",
    "and told nobody",
    "and shared it the next morning",
    "and laughed all the way home",
)
END_OF_DOCUMENT = "<|endoftext|>"


def story(draw: random.Random, names: tuple[str, ...]) -> str:
    name, animal, thing, helper = draw.choice(names), draw.choice(ANIMALS), draw.choice(THINGS), draw.choice(HELPERS)
    first, second = draw.sample(PLACES, 2)
    return (
        f"There was once a {animal} called {name} who had lost {thing}. {name} looked {first}, but it was not there. "
        f"Then {name} asked {helper}, and {helper} said that something lay {second}. "
        f"So the {animal} went and looked {second}, found {thing}, {draw.choice(ENDS)}."
    )


def main(folder: Path) -> None:
    """Names of validation stories are never seen in training."""
    draw = random.Random(SEED)
    trained = [story(draw, NAMES[:-2]) for _ in range(400)]
    held_out = [story(draw, NAMES[-2:]) for _ in range(40)]
    for name, stories in (("train.jsonl", trained), ("validation.jsonl", held_out)):
        (folder / name).write_text("".join(json.dumps({"text": text}) + "\n" for text in stories))
    (folder / "corpus.txt").write_text(f"\n{END_OF_DOCUMENT}\n".join(trained) + "\n")


if __name__ == "__main__":
    main(Path(__file__).parent)
