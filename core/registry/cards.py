"""A base model's card in the object store: its tokenizer, chat template, config and figures, without weights.

Train workers publish cards, since making one needs transformers; API and cpu workers, which have neither torch nor base
models, read them. A card is named by its model's source and never changes:

    base_models/<SHA-256 of the source>/manifest.json        written last: the card is whole, or not there
    base_models/<SHA-256 of the source>/<publication>/…      the files that the manifest names

The card of a model with full weights that a job made are files of the model.
"""

import hashlib
import json
import re
import shutil
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import Unavailable
from core.models import Model
from core.registry.catalogue import CatalogueEntry
from core.scratch import scratch
from core.specs.base_model import Facts
from core.storage import STORE_ERRORS, Entry, IntegrityError, Storage


class CardPending(Unavailable):
    """No train worker has published the model's card yet: one that starts does so within about a minute."""

    code = "model_card_pending"
    retry_after = 10


FACTS = "facts.json"
# Of a model that a job made.
FILES = re.compile(r"(config|facts|tokenizer|tokenizer_config)\.json|chat_template\.jinja|additional_chat_templates/.*")


@dataclass(frozen=True)
class Card:
    """Where a card lies. key: names it on this process's disk. entries: None where a manifest of its own has them."""

    key: str
    name: str
    prefix: str
    entries: tuple[Entry, ...] | None = None


@dataclass(frozen=True)
class Known:
    """What can be refused by. context: longest sequence, in tokens. tokens: a digest of the tokenizer's vocabulary and
    of where its rows begin and end."""

    context: int
    tokens: str


def of_base(entry: CatalogueEntry) -> Card:
    return Card(entry.source.key, entry.id, prefix(entry))


def of_model(model: Model) -> Card | None:
    """The card that a model with full weights has among its own files; None where a version wrote it that made none."""
    entries = tuple(entry for entry in Entry.many(model.manifest) if FILES.fullmatch(entry.name))
    whole = any(entry.name == FACTS for entry in entries)
    return Card(model.id, model.name, model.prefix, entries) if whole else None


def prefix(entry: CatalogueEntry) -> str:
    return f"base_models/{entry.source.key}/"


class Cards:
    """Cards on this process's disk, fetched when they are first asked for."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._folder: Path | None = None
        self._opened = ExitStack()  # holds the folder
        self._lock = threading.Lock()
        self._known = dict[str, Known]()

    def folder(self, card: Card) -> Path:
        """Where the card lies.

        Raises:
            CardPending: it has not been published yet.
            IntegrityError: the store's bytes are not what its manifest says.
        """
        with self._lock:
            return self._at(card)

    def _at(self, card: Card) -> Path:
        if self._folder is None:
            self._folder = self._opened.enter_context(scratch("cards"))
        folder = self._folder / card.key
        if not folder.exists():
            self._fetch(card, folder)
        return folder

    def _fetch(self, card: Card, folder: Path) -> None:
        partial = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        if card.entries is not None:
            self._storage.get_folder(card.prefix, list(card.entries), partial)
            partial.rename(folder)
            return
        entries = self._storage.manifest(card.prefix)
        if entries is None:
            raise CardPending(
                f"model: the tokenizer of {card.name!r} is not known yet: a train worker publishes it at its start; "
                "try again in a moment",
                param="model",
            )
        self._storage.get_folder(card.prefix, entries, partial)
        (published,) = partial.iterdir()  # the folder of the worker that published it
        published.rename(folder)
        partial.rmdir()

    def facts(self, card: Card) -> Facts:
        """Raises what `folder` raises."""
        return _facts(self.folder(card))

    def known(self, card: Card) -> Known | None:
        """None where the card is not published yet or can't be fetched now: for whoever can do without.

        Of those who ask at once only one waits for the store, however long that is silent.
        """
        if card.key in self._known:
            return self._known[card.key]
        if not self._lock.acquire(blocking=False):
            return None
        try:
            folder = self._at(card)
            found = self._known[card.key] = Known(_facts(folder).context, _tokens(folder))
        except (CardPending, IntegrityError, *STORE_ERRORS):
            return None
        finally:
            self._lock.release()
        return found

    def close(self) -> None:
        self._opened.close()
        self._folder = None
        self._known.clear()


def _facts(folder: Path) -> Facts:
    return Facts.model_validate_json((folder / FACTS).read_bytes())


def _tokens(folder: Path) -> str:
    tokenizer: dict[str, Any] = json.loads((folder / "tokenizer.json").read_bytes())
    config: dict[str, Any] = json.loads((folder / "tokenizer_config.json").read_bytes())
    listed = tokenizer["model"]["vocab"]  # of Unigram a list of [token, score], else {token: id}
    vocabulary = dict(listed) if isinstance(listed, dict) else {token: i for i, (token, _) in enumerate(listed)}
    vocabulary |= {added["content"]: added["id"] for added in tokenizer["added_tokens"]}
    ends = [config.get("bos_token"), config.get("eos_token")]
    ends = [end["content"] if isinstance(end, dict) else end for end in ends]
    return hashlib.sha256(json.dumps([sorted(vocabulary.items()), ends]).encode()).hexdigest()
