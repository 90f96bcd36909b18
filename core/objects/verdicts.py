"""Which objects of the store rows point to, and which ones nobody knows of.

    orgs/<organisation>/files/<file>[.sketch]
    orgs/<organisation>/uploads/<upload>/<part>
    orgs/<organisation>/jobs/<job>/attempts/<token>/…

Everything else in the bucket, and what is an organisation's that this database does not know, is somebody else's: a
base model of the catalogue, another deployment. It is neither judged nor touched.
"""

import re
from collections.abc import Sequence
from typing import Literal

from sqlalchemy.orm import Session

from core.objects import repository
from core.storage import Stored, Unfinished

FILE = re.compile(r"orgs/(?P<organization>[^/]+)/files/(?P<file>[^/]+?)(\.sketch)?")
PART = re.compile(r"orgs/(?P<organization>[^/]+)/uploads/[^/]+/(?P<part>[^/]+)")
ATTEMPT = re.compile(
    r"orgs/(?P<organization>[^/]+)/jobs/(?P<job>[^/]+)/attempts/(?P<token>\d{1,18})/.+", flags=re.DOTALL
)

# known: a row points to it. fresh: none does, but one still may. orphaned: none does, nor ever will. foreign: not ours.
Verdict = Literal["known", "fresh", "orphaned", "foreign"]


def judge(session: Session, objects: Sequence[Stored], *, youngest: float) -> list[Verdict]:
    """What the database says of objects that the store has just listed.

    An attempt writes below its own token: while it holds its job, its objects may be published at any time, and once it
    does not, never again. For uploads there is no such fence, but their row follows within the request.

    Args:
        youngest: seconds; a younger object that no row points to may still get one.
    """
    named = {stored.key: match.groupdict() for stored in objects if (match := _match(stored.key))}

    def all_of(group: str) -> set[str]:
        return {found[group] for found in named.values() if group in found}

    ours = repository.known_organizations(session, ids=all_of("organization"))
    # Before the rows: an attempt that ends in between has published already what it is ever going to.
    live = {str(token) for token in repository.held_tokens(session, jobs=all_of("job"))}
    known = repository.pointed_to(session, files=all_of("file"), parts=all_of("part"), jobs=all_of("job"))

    def verdict(stored: Stored) -> Verdict:
        found = named.get(stored.key)
        if found is None or found["organization"] not in ours:
            return "foreign"
        if stored.key in known:
            return "known"
        return "fresh" if stored.age < youngest or found.get("token") in live else "orphaned"

    return [verdict(stored) for stored in objects]


def abandoned(session: Session, uploads: Sequence[Unfinished], *, youngest: float) -> list[Unfinished]:
    """Those of the unfinished uploads to the store that nobody is at: old, and of no attempt that holds its job."""
    verdicts = judge(session, [Stored(upload.key, 0, upload.age) for upload in uploads], youngest=youngest)
    judged = zip(uploads, verdicts, strict=True)
    return [upload for upload, verdict in judged if upload.age >= youngest and verdict != "fresh"]


def _match(key: str) -> re.Match[str] | None:
    return FILE.fullmatch(key) or PART.fullmatch(key) or ATTEMPT.fullmatch(key)
