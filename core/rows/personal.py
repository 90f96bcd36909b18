"""Patterns of personal data and secrets: how many rows have them, and where the first ones are; never the values.

The rows are searched a block at a time. What every pattern must have (an at sign, a cluster of digits, a long word) is
found by numpy first, and only there the patterns themselves are tried.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

FIRST_LINES = 5
EMAIL = re.compile(rb"(?<=[A-Za-z0-9._%+-])@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}\b")
IPV4 = re.compile(rb"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|\.\d)")
US_SSN = re.compile(rb"(?<![\w-])(?!000|666|9\d\d)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
CARD = re.compile(rb"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
IBAN = re.compile(rb"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
# International with a plus, or North American with its separators: digits alone are no telephone number.
PHONE = re.compile(
    rb"(?<![\w+])\+\d{1,3}(?:[ ./-]?\(?\d{1,4}\)?){2,5}(?!\w)"
    rb"|(?<![\w-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])"
)
SEPARATED = re.compile(rb"[-+. ]")  # one of these is in every match of US_SSN and PHONE
SECRET = re.compile(
    rb"(?<![A-Za-z0-9])(?:sk-[A-Za-z0-9_-]{20,}|tsk-[A-Za-z0-9]{36}|AKIA[A-Z0-9]{16}|AIza[A-Za-z0-9_-]{35}"
    rb"|gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,}|glpat-[A-Za-z0-9_-]{20}|hf_[A-Za-z0-9]{30,}"
    rb"|xox[abprs]-[A-Za-z0-9-]{10,})|-----BEGIN[A-Z ]{0,20}PRIVATE KEY-----"
)
CATEGORIES = ("email", "phone", "credit_card", "iban", "us_ssn", "ipv4", "secret")
DIGIT_GAP = 4  # bytes between two digits of one cluster, at most
ADDRESS_DOTS = 3  # of an IPv4 address
SHORTEST_ADDRESS = 7  # bytes
MANY_DIGITS = 9  # so many have all the others
LONG_WORD = 20  # bytes; no secret is shorter
AROUND = 20  # bytes before or behind a cluster that may belong to an IBAN


@dataclass
class Found:
    rows: int = 0
    first_lines: list[int] = field(default_factory=list)


@dataclass
class PersonalData:
    """found: by category, over all blocks so far."""

    found: dict[str, Found] = field(default_factory=lambda: {category: Found() for category in CATEGORIES})

    def scan(self, block: bytes, starts: Sequence[int], numbers: Sequence[int]) -> None:
        """Search a block of rows.

        Args:
            starts: where in the block each row begins.
            numbers: the rows' numbers.
        """
        hits: dict[str, set[int]] = {}
        for category, at in _matches(block):
            hits.setdefault(category, set()).add(bisect_right(starts, at) - 1)
        for category, rows in hits.items():
            found = self.found[category]
            found.rows += len(rows)
            found.first_lines += [numbers[row] for row in sorted(rows)][: FIRST_LINES - len(found.first_lines)]


def _matches(block: bytes) -> Iterator[tuple[str, int]]:
    """(category, offset) of everything that is found; the same thing may come twice."""
    data = np.frombuffer(block, np.uint8)
    for at in _places(b"@", block):
        if EMAIL.match(block, at):
            yield "email", at
    for start, end, digits in _clusters(data):
        if block.count(b".", start, end) >= ADDRESS_DOTS:
            yield from (("ipv4", match.start()) for match in IPV4.finditer(block, start, end + 2))
        if digits >= MANY_DIGITS:
            yield from _numbers(block, start, end, digits)
    for start, end in _long_words(data):
        match = SECRET.search(block, start, end)
        if match:
            yield "secret", match.start()
    for at in _places(b"-----BEGIN", block):
        if SECRET.match(block, at):
            yield "secret", at


def _places(part: bytes, block: bytes) -> Iterator[int]:
    at = block.find(part)
    while at >= 0:
        yield at
        at = block.find(part, at + 1)


def _long_words(data: NDArray[np.uint8]) -> list[tuple[int, int]]:
    """(start, end) of each run of LONG_WORD or more of the bytes that secrets are made of, and of a few others."""
    # From "-" to "9" and from "A" to "z": two comparisons, where each of the bytes would need a table.
    inside = (data - np.uint8(45) < 13) | (data - np.uint8(65) < 58)
    # Most words are short: whether the next 2, 4, 8, 16 bytes are inside costs less to know than where words end.
    width = 1
    while 2 * width <= LONG_WORD:
        inside = inside[:-width] & inside[width:]
        width *= 2
    rest = LONG_WORD - width
    inside = inside[:-rest] & inside[rest:]
    at = np.flatnonzero(inside)
    if not len(at):
        return []
    cuts = np.flatnonzero(np.diff(at) > 1) + 1
    first, last = np.concatenate(([0], cuts)), np.concatenate((cuts, [len(at)])) - 1
    return list(zip(at[first].tolist(), (at[last] + LONG_WORD).tolist(), strict=True))


def _clusters(data: NDArray[np.uint8]) -> list[tuple[int, int, int]]:
    """(first digit, behind the last one, how many) of each group of digits that some pattern may match.

    Digits of one group stand close together.
    """
    digits = np.flatnonzero(data - np.uint8(ord("0")) < 10)
    if not len(digits):
        return []
    cuts = np.flatnonzero(np.diff(digits) > DIGIT_GAP) + 1
    first, last = np.concatenate(([0], cuts)), np.concatenate((cuts, [len(digits)]))
    start, end, many = digits[first], digits[last - 1] + 1, last - first
    wanted = (many >= MANY_DIGITS) | ((many > ADDRESS_DOTS) & (end - start >= SHORTEST_ADDRESS))
    return list(zip(*(found[wanted].tolist() for found in (start, end, many)), strict=True))


def _numbers(block: bytes, start: int, end: int, digits: int) -> Iterator[tuple[str, int]]:
    opened = max(0, start - 2)  # a plus, a bracket
    if SEPARATED.search(block, opened, end):
        for category, pattern in (("us_ssn", US_SSN), ("phone", PHONE)):
            yield from ((category, match.start()) for match in pattern.finditer(block, opened, end + 2))
    if digits >= 13:
        yield from (("credit_card", m.start()) for m in CARD.finditer(block, start, end + 2) if _is_card(m.group()))
    around = IBAN.finditer(block, max(0, start - AROUND), end + AROUND)
    yield from (("iban", match.start()) for match in around if _is_iban(match.group()))


def _is_card(text: bytes) -> bool:
    """Luhn's checksum (ISO/IEC 7812-1), and not one digit all over."""
    digits = [byte - 48 for byte in text if 48 <= byte <= 57]
    doubled = [digit * 2 - 9 * (digit > 4) for digit in digits[-2::-2]]
    return (sum(doubled) + sum(digits[-1::-2])) % 10 == 0 and len(set(digits)) > 1


def _is_iban(text: bytes) -> bool:
    """The checksum of ISO 13616: letters count from 10, the first four characters come last, modulo 97."""
    plain = text.replace(b" ", b"").decode()
    moved = plain[4:] + plain[:4]
    return 15 <= len(plain) <= 34 and int("".join(str(int(c, 36)) for c in moved)) % 97 == 1
