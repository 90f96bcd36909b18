"""The catalogue of base models, read from a YAML file that operators keep."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, StringConstraints, field_validator, model_validator

from core.specs.base_model import BaseModelSource, parse_source
from core.specs.strict import Strict

ModelId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class CatalogueEntry(Strict):
    id: ModelId
    public_id: str = Field(pattern=r"^[\w.-]+/[\w.-]+$")
    source: BaseModelSource
    aliases: list[ModelId] = Field(default_factory=list)

    @field_validator("source", mode="before")
    @classmethod
    def read_source(cls, value: object) -> object:
        return parse_source(value) if isinstance(value, str) else value


class Catalogue(Strict):
    models: list[CatalogueEntry]

    @model_validator(mode="after")
    def names_are_unique(self) -> "Catalogue":
        names = [name for entry in self.models for name in (entry.id, *entry.aliases)]
        if doubled := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"more than one entry answers to {', '.join(doubled)}")
        return self

    def find(self, name: str) -> CatalogueEntry | None:
        return next((entry for entry in self.models if name == entry.id or name in entry.aliases), None)

    def like(self, search: str) -> list[CatalogueEntry]:
        """Those whose id or an alias has that part, in upper or lower case."""
        part = search.lower()
        return [entry for entry in self.models if any(part in name.lower() for name in (entry.id, *entry.aliases))]

    def with_aliases(self, aliases: dict[str, str]) -> "Catalogue":
        """The same models, which answer to more names: {alias: a name that the catalogue has}.

        Raises:
            ValueError: an alias stands for nothing, or is another model's name.
        """
        targets = {alias: self.find(model) for alias, model in aliases.items()}
        if lost := [alias for alias, entry in targets.items() if entry is None]:
            raise ValueError(f"alias {lost[0]}: the catalogue has no model {aliases[lost[0]]}")
        more = {entry.id: [alias for alias in targets if targets[alias] is entry] for entry in self.models}
        return Catalogue(
            models=[entry.model_copy(update={"aliases": [*entry.aliases, *more[entry.id]]}) for entry in self.models]
        )


@lru_cache
def load_catalogue(path: Path) -> Catalogue:
    """Read the catalogue once a process.

    Raises:
        ValueError: the file does not describe a catalogue; the message names entry and key.
    """
    return Catalogue.model_validate(yaml.safe_load(path.read_text()))
