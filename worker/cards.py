"""Publishing the cards of the catalogue's models, in a thread of its own beside the slots."""

import logging

from core.ids import new_id
from core.registry import cards
from core.registry.catalogue import CatalogueEntry, load_catalogue
from core.scratch import scratch
from worker.context import Context
from worker.inputs import prepare_model

log = logging.getLogger(__name__)
FIRST_PAUSE, LONGEST_PAUSE = 30.0, 1800.0  # seconds


def publish_all(context: Context) -> None:
    """Publish every card that the store does not have; what fails is tried again, ever more rarely."""
    waiting, pause = load_catalogue(context.settings.catalogue).models, FIRST_PAUSE
    while not context.draining.is_set():
        waiting = [entry for entry in waiting if not _published(context, entry)]
        if not waiting or context.draining.wait(pause):
            return
        pause = min(pause * 2, LONGEST_PAUSE)


def _published(context: Context, entry: CatalogueEntry) -> bool:
    try:
        if context.storage.manifest(cards.prefix(entry)) is None:
            _publish(context, entry)
    except Exception as error:
        log.warning("the card of %s could not be published; tried again later: %s", entry.id, error)
        return False
    return True


def _publish(context: Context, entry: CatalogueEntry) -> None:
    """Each publisher writes to a folder of its own below the card's prefix, and then the manifest that names it.

    Two that publish at once do not mix their files: the manifest that stays is one of the two, and both are whole.
    """
    with scratch("card", within=context.runs.parent) as folder:
        working, whole = folder / "working", folder / "whole"
        working.mkdir()
        whole.mkdir()
        prepare_model(context, entry, whole / new_id("card-"), working, given_up=context.draining.is_set, weights=False)
        context.storage.put_folder(cards.prefix(entry), whole)
    log.info("the card of %s is published", entry.id)
