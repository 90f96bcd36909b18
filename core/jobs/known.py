"""What cards tell of the models that a job names, where something of the job could be wrong by it.

Read before there is a transaction, since a card may have to be fetched from the store. What is not known here, the
trainer finds.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.errors import InvalidRequest
from core.registry.cards import Card, Known
from core.registry.catalogue import Catalogue
from core.registry.service import starting_model
from core.specs.initialization import Initialization
from core.specs.job import JobSpec
from core.specs.ppo import Ppo
from core.specs.rollouts import RolloutTraining

KnownModels = Mapping[str, Known]  # by the key of their card


def cards_of(session: Session, *, owner: Owner, catalogue: Catalogue, spec: JobSpec) -> list[Card]:
    """Those to ask: of a job that sets a length, and of one whose reward models have other bases than its own model."""
    found = {card.key: card for card in _cards(session, owner, catalogue, spec)}
    options = spec.method.options
    if isinstance(options, Initialization):
        return []
    lengths = [options.max_length, options.max_completion_tokens if isinstance(options, RolloutTraining) else "auto"]
    return list(found.values()) if len(found) > 1 or lengths != ["auto", "auto"] else []


def _cards(session: Session, owner: Owner, catalogue: Catalogue, spec: JobSpec) -> Iterator[Card]:
    options = spec.method.options
    for name in (spec.model, *(options.reward_models if isinstance(options, Ppo) else ())):
        with suppress(InvalidRequest):  # creating the job says what is wrong
            yield starting_model(session, owner=owner, catalogue=catalogue, name=name or "").card
