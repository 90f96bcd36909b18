"""API keys: a prefix, 30 random base62 characters, and a checksum that tells a typing error from a wrong key."""

import hashlib
import re
import zlib

from core.ids import base62, random_base62

PROJECT_PREFIX = "tsk-"
OPERATOR_PREFIX = "tso-"
_RANDOM = 30
_CHECKSUM = 6  # base62 characters that hold a CRC-32
_FORM = re.compile(rf"(?:{PROJECT_PREFIX}|{OPERATOR_PREFIX})[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")


def generate(prefix: str) -> str:
    body = prefix + random_base62(_RANDOM)
    return body + _checksum(body)


def is_well_formed(key: str) -> bool:
    """True where the text has the form of a key and its checksum fits; no database is needed to refuse the rest."""
    return _FORM.fullmatch(key) is not None and key[-_CHECKSUM:] == _checksum(key[:-_CHECKSUM])


def digest(key: str) -> str:
    """What is stored. The key has 178 random bits, so that a plain hash cannot be searched backwards."""
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(body: str) -> str:
    return base62(zlib.crc32(body.encode()), _CHECKSUM)
