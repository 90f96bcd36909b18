"""The contract's `x-ratelimit-*` headers."""

from core.access.rate_limit import Rate


def rate_headers(rate: Rate) -> list[tuple[bytes, bytes]]:
    return [
        (b"x-ratelimit-limit-requests", str(rate.limit).encode()),
        (b"x-ratelimit-remaining-requests", str(rate.remaining).encode()),
        (b"x-ratelimit-reset-requests", duration(rate.reset).encode()),
    ]


def duration(seconds: float) -> str:
    """As clients read it: `12ms`, `8.64s`, `6m0s`, `1h2m3s`."""
    milliseconds = round(seconds * 1000)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    rest = f"{milliseconds / 1000:g}s"
    if hours:
        return f"{hours}h{minutes}m{rest}"
    return f"{minutes}m{rest}" if minutes else rest
