"""What may be told. Clients parse a type that they don't know as a wrong class, so that there are no others."""

from typing import Literal, get_args

EventType = Literal["fine_tuning.job.succeeded", "fine_tuning.job.failed", "fine_tuning.job.cancelled"]
EVENT_TYPES: tuple[EventType, ...] = get_args(EventType)
