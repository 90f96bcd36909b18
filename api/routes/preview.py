from typing import Annotated

from fastapi import APIRouter, Query

from api.deps import CardsDep, CatalogueDep, EngineDep, OwnerDep, StorageDep
from api.schemas.page import ListPage
from core.db import session_scope
from core.estimate import service
from core.estimate.task import PreviewRow

router = APIRouter(prefix="/files", tags=["files"])


@router.get("/{file_id}/preview")
def preview_file(
    file_id: str,
    owner: OwnerDep,
    engine: EngineDep,
    catalogue: CatalogueDep,
    storage: StorageDep,
    cards: CardsDep,
    model: Annotated[str, Query(min_length=1, max_length=256, description="A base model, or one that a job made.")],
    offset: Annotated[int, Query(ge=0, le=2**31 - 1, description="Rows to leave out before the first.")] = 0,
    limit: Annotated[int, Query(ge=1, le=20)] = 5,
    max_length: Annotated[
        int | None, Query(ge=32, le=131072, description="Tokens behind which a row counts as truncated.")
    ] = None,
) -> ListPage[PreviewRow]:
    """Rows as the model's chat template renders them, token by token: trained, masked, or behind max_length."""
    with session_scope(engine) as session:  # ends before the file is read
        source, card = service.find_preview(session, owner=owner, catalogue=catalogue, file_id=file_id, model=model)
    shown = service.preview(
        source, card, storage=storage, cards=cards, offset=offset, limit=limit, max_length=max_length
    )
    return ListPage(data=shown.rows, has_more=shown.has_more)
