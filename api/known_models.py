"""What is known of the models that a job names, before it is created."""

from typing import Annotated

from fastapi import Depends

from api.deps import CardsDep, CatalogueDep, EngineDep, OwnerDep
from api.grading import CheckedJobDep
from core.db import session_scope
from core.jobs.known import KnownModels, cards_of


def known_models(
    spec: CheckedJobDep, owner: OwnerDep, engine: EngineDep, catalogue: CatalogueDep, cards: CardsDep
) -> KnownModels:
    with session_scope(engine) as session:  # ends before the store is read
        wanted = cards_of(session, owner=owner, catalogue=catalogue, spec=spec)
    found = {card.key: cards.known(card) for card in wanted}
    return {key: known for key, known in found.items() if known is not None}


KnownModelsDep = Annotated[KnownModels, Depends(known_models)]
