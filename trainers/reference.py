"""The model that a job starts from, beside the one that is trained: what a KL divergence is measured from."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from peft import PeftModel
from trl.trainer.utils import use_adapter

from core.specs.run import RunSpec
from trainers import adapters, attention, weights


class Reference:
    """It shares what it can: under a fresh adapter lies the reference, beside one that goes on training its copy.

    Beside full weights stands a second model. All are made from the job's start, also where it goes on from a
    checkpoint, whose weights are not yet in the model.
    """

    def __init__(self, model: Any, spec: RunSpec) -> None:
        self._copied = isinstance(model, PeftModel) and spec.start_adapter is not None
        self._second: Any = None
        if self._copied:
            adapters.copy_as_reference(model)
        elif not isinstance(model, PeftModel):
            self._second = weights.start(spec).to(model.device).eval()
            attention.use(self._second)

    @contextmanager
    def beside(self, model: Any) -> Iterator[Any]:
        """The reference, as long as the context lasts, in which the model itself is not to be used."""
        if self._second is not None:
            yield self._second
            return
        with use_adapter(model, adapters.REFERENCE if self._copied else None):
            yield model
