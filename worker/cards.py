"""Publishing the cards of the catalogue's models, in a thread of its own beside the slots."""

import logging
import shutil

from core.registry import cards
from core.registry.catalogue import CatalogueEntry, load_catalogue
from worker.context import Context
from worker.inputs import prepare_model

log = logging.getLogger(__name__)
RETRY_SECONDS = 60.0


def publish_all(context: Context) -> None:
    """Publish every card that the store does not have; what fails is tried again until the worker leaves."""
    waiting = load_catalogue(context.settings.catalogue).models
    while waiting and not context.draining.is_set():
        waiting = [entry for entry in waiting if not _published(context, entry)]
        if waiting and context.draining.wait(RETRY_SECONDS):
            return


def _published(context: Context, entry: CatalogueEntry) -> bool:
    try:
        if context.storage.manifest(cards.prefix(entry)) is None:
            _publish(context, entry)
    except Exception as error:
        log.warning("card of %s not published, tried again in %.0f s: %s", entry.id, RETRY_SECONDS, error)
        return False
    return True


def _publish(context: Context, entry: CatalogueEntry) -> None:
    working = context.runs.parent / "cards" / entry.source.key
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True)
    try:
        prepare_model(context, entry, working / "card", working, weights=False)
        context.storage.put_folder(cards.prefix(entry), working / "card")
        log.info("card of %s published", entry.id)
    finally:
        shutil.rmtree(working, ignore_errors=True)
