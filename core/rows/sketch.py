"""A file's rows in a few megabytes: what its overlap with another file is computed from, without reading either again.

Of rows, prompts and signatures it keeps those with the smallest hashes (bottom-k; Cohen, Kaplan, 2007). Two files'
samples are then samples of the same rows: what both have of the part that both have seen is what they share.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.rows.near import BINS, Signatures, near_rows

MAGIC = b"TSKETCH2"
MOST_HASHES = 65_536
MOST_SIGNATURES = 16_384
# Magic; how many row hashes, prompt hashes, signatures follow; up to which hash rows and prompts are whole.
HEADER = struct.Struct("<8s3I2Q")
MOST_BYTES = HEADER.size + MOST_HASHES * 16 + MOST_SIGNATURES * BINS * 2
WHOLE = 2**64 - 1

Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Sketch:
    """rows, prompts: the smallest distinct hashes, sorted; all of those up to rows_below, prompts_below.

    signatures: [n, BINS], of distinct rows.
    """

    rows: Hashes
    prompts: Hashes
    signatures: Signatures
    rows_below: int = WHOLE
    prompts_below: int = WHOLE

    def to_bytes(self) -> bytes:
        counts = (len(self.rows), len(self.prompts), len(self.signatures))
        header = HEADER.pack(MAGIC, *counts, self.rows_below, self.prompts_below)
        arrays = (self.rows.astype("<u8"), self.prompts.astype("<u8"), self.signatures.astype("<u2"))
        return b"".join((header, *(np.ascontiguousarray(array).data for array in arrays)))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Sketch":
        """Raises ValueError where these are no sketch's bytes."""
        if len(data) < HEADER.size:
            raise ValueError("a sketch is cut off")
        magic, rows, prompts, signatures, rows_below, prompts_below = HEADER.unpack_from(data)
        sizes = (rows * 8, prompts * 8, signatures * BINS * 2)
        if magic != MAGIC or len(data) != HEADER.size + sum(sizes) or len(data) > MOST_BYTES:
            raise ValueError("not a sketch of this version")
        at = HEADER.size
        return cls(
            np.frombuffer(data, "<u8", rows, at),
            np.frombuffer(data, "<u8", prompts, at + sizes[0]),
            np.frombuffer(data, "<u2", signatures * BINS, at + sizes[0] + sizes[1]).reshape(-1, BINS),
            rows_below,
            prompts_below,
        )


def overlap(training: Sketch, validation: Sketch) -> dict[str, Any]:
    """What the validation file shares with the training file, in distinct rows.

    rows, prompts: exact where both files are whole in their sketches, else estimates (`exact` says which).
    near_rows: of near_rows_compared[validation] rows, those nearly like one of near_rows_compared[training].
    """
    rows, rows_exact = _shared(training.rows, validation.rows, min(training.rows_below, validation.rows_below))
    below = min(training.prompts_below, validation.prompts_below)
    prompts, prompts_exact = _shared(training.prompts, validation.prompts, below)
    near = near_rows(validation.signatures, training.signatures)
    return {
        "rows": rows,
        "prompts": prompts,
        "exact": rows_exact and prompts_exact,
        "near_rows": int(near.sum()),
        "near_rows_compared": {"training": len(training.signatures), "validation": len(validation.signatures)},
    }


def _shared(a: Hashes, b: Hashes, below: int) -> tuple[int, bool]:
    """(distinct hashes that both have, whether that is exact); both are whole up to `below`."""
    seen = int(np.intersect1d(a[a <= below], b[b <= below], assume_unique=True).size)
    return round(seen * (WHOLE / max(1, below))), below == WHOLE
