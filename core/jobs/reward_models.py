"""The reward models that a ppo job names."""

import json

from sqlalchemy.orm import Session

from core.access.owner import Owner
from core.errors import InvalidRequest
from core.jobs import repository
from core.jobs.known import KnownModels
from core.models import File, Job
from core.registry.catalogue import Catalogue
from core.registry.service import StartingModel, starting_model
from core.specs.ppo import Ppo


def check(
    session: Session,
    *,
    owner: Owner,
    catalogue: Catalogue,
    options: Ppo,
    policy: StartingModel,
    known: KnownModels,
) -> None:
    """Whether they can score the policy's answers, as far as that is known here.

    Raises:
        UnknownModel: the project may use no model of a name.
        InvalidRequest: a model is no reward model, is named twice, or was made for other tokens.
    """
    for i, name in enumerate(options.reward_models):
        param = f"method.ppo.reward_models[{i}]"
        if name in options.reward_models[:i]:
            raise InvalidRequest(f"{param}: {name!r} is named twice", param=param)
        found = starting_model(
            session, owner=owner, catalogue=catalogue, name=name, kinds=("reward_model",), param=param
        )
        ours, theirs = _tokenizer(session, policy), _tokenizer(session, found)
        # Models of a family share a tokenizer: of two of the catalogue their cards tell, else only the trainer.
        tokens = {known[card.key].tokens for card in (policy.card, found.card) if card.key in known}
        if ours != theirs and ("learnt" in (ours[0], theirs[0]) or len(tokens) == 2):
            words = "has another tokenizer than the model that is trained, whose tokens it would have to read"
            raise InvalidRequest(f"{param}: {name!r} {words}", param=param)


def _tokenizer(session: Session, model: StartingModel) -> tuple[str, str]:
    """Where a model's tokenizer comes from: (learnt, of what and how) or (catalogue, of which base)."""
    if model.parent is None:
        return "catalogue", model.base_model
    first = repository.origin(session, job=session.get_one(Job, model.parent.job_id))
    if first.spec["method"]["type"] != "initialization":
        return "catalogue", first.base_model
    tokenizer = first.spec["method"]["initialization"]["tokenizer"]
    if tokenizer["type"] == "model":
        return "catalogue", first.spec["model"]
    text = session.get_one(File, first.training_file_id)
    return "learnt", f"{text.sha256} {json.dumps(tokenizer, sort_keys=True)}"
