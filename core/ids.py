"""Public ids: a prefix, then 24 base62 characters that sort by the time inside."""

import secrets
import string
import time

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
TIME_CHARACTERS = 8  # milliseconds; 62**8 of them last until the year 8888
RANDOM_CHARACTERS = 16  # 95 bits


def base62(number: int, width: int) -> str:
    digits: list[str] = []
    for _ in range(width):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def random_base62(width: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(width))


def new_id(prefix: str) -> str:
    """A new id such as `ftjob-0TkUbV2q…`; byte order follows the time, to the millisecond."""
    return f"{prefix}{base62(time.time_ns() // 1_000_000, TIME_CHARACTERS)}{random_base62(RANDOM_CHARACTERS)}"
