"""A base model's card in the object store: its tokenizer, chat template, config and figures, without weights.

Train workers publish cards, since making one needs transformers; API and cpu workers, which have neither torch nor base
models, read them. A card is named by its model's source and never changes:

    base_models/<SHA-256 of the source>/manifest.json        written last: the card is whole, or not there
    base_models/<SHA-256 of the source>/<publication>/…      the files that the manifest names
"""

import shutil
import threading
from contextlib import ExitStack
from pathlib import Path

from core.errors import Unavailable
from core.registry.catalogue import CatalogueEntry
from core.scratch import scratch
from core.specs.base_model import Facts
from core.storage import Storage


class CardPending(Unavailable):
    """No train worker has published the model's card yet: one that starts does so within about a minute."""

    code = "model_card_pending"
    retry_after = 10


def prefix(entry: CatalogueEntry) -> str:
    return f"base_models/{entry.source.key}/"


class Cards:
    """Cards on this process's disk, fetched when they are first asked for."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._folder: Path | None = None
        self._opened = ExitStack()  # holds the folder
        self._lock = threading.Lock()

    def folder(self, entry: CatalogueEntry) -> Path:
        """Where the card of this model lies.

        Raises:
            CardPending: it has not been published yet.
            IntegrityError: the store's bytes are not what its manifest says.
        """
        with self._lock:
            if self._folder is None:
                self._folder = self._opened.enter_context(scratch("cards"))
            card = self._folder / entry.source.key
            if card.exists():
                return card
            entries = self._storage.manifest(prefix(entry))
            if entries is None:
                raise CardPending(
                    f"model: the tokenizer of {entry.id!r} is not known yet: a train worker publishes it at its start; "
                    "try again in a moment",
                    param="model",
                )
            partial = card.with_name(f"{card.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            self._storage.get_folder(prefix(entry), entries, partial)
            (published,) = partial.iterdir()  # the folder of the worker that published it
            published.rename(card)
            partial.rmdir()
            return card

    def facts(self, entry: CatalogueEntry) -> Facts:
        """Raises what `folder` raises."""
        return Facts.model_validate_json((self.folder(entry) / "facts.json").read_bytes())

    def close(self) -> None:
        self._opened.close()
        self._folder = None
