"""The object store: the only place that knows boto3.

Nothing here trusts the server's checksums: each upload is read back and compared with our own SHA-256 before
anybody is told of it, and each download is verified before it gets its name.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

import boto3
from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import TunesmithError, Unavailable
from core.ids import new_id
from core.multipart import MultipartWriter
from core.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CHUNK = 1024 * 1024
MANIFEST = "manifest.json"
SOON = 0.5  # seconds to connect, and as many for an answer
STORE_ERRORS = (ClientError, BotoCoreError)


class IntegrityError(TunesmithError):
    """Bytes are not what their SHA-256 says."""

    code = "integrity_error"


@dataclass(frozen=True)
class Stored:
    """An object as the store lists it; age: seconds since it was written, on the store's own clock."""

    key: str
    bytes: int
    age: float


@dataclass(frozen=True)
class Unfinished:
    """An upload that was begun, and is neither an object yet nor given up; age as in Stored."""

    key: str
    upload_id: str
    age: float


@dataclass(frozen=True)
class Entry:
    """One file of a stored folder; `name` is relative to it, with '/' between parts."""

    name: str
    bytes: int
    sha256: str

    @classmethod
    def many(cls, manifest: Iterable[dict[str, Any]]) -> list["Entry"]:
        return [cls(**entry) for entry in manifest]


class Storage:
    """One bucket. The clients inside are safe to share between threads."""

    def __init__(self, settings: Settings) -> None:
        self.bucket = settings.s3_bucket
        self._settings = settings
        self._client = _client(settings, settings.s3_endpoint_url)
        # A signature covers the host, so that links are signed for the address that their readers use.
        public = settings.s3_public_endpoint_url
        self._public = _client(settings, public) if public else self._client

    def ensure_bucket(self) -> None:
        """Create the bucket where it does not exist yet."""
        try:
            self._client.head_bucket(Bucket=self.bucket)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") not in ("404", "NoSuchBucket"):
                raise
            self._client.create_bucket(Bucket=self.bucket)

    def check(self, *, soon: bool = False) -> None:
        """Raises one of STORE_ERRORS where the bucket does not answer; `soon`: nor within SOON, at the first try."""
        (self._impatient if soon else self._client).head_bucket(Bucket=self.bucket)

    @cached_property
    def _impatient(self) -> "S3Client":
        return _client(self._settings, self._settings.s3_endpoint_url, patience=SOON, attempts=1)

    def writer(self, key: str) -> MultipartWriter:
        return MultipartWriter(self._client, bucket=self.bucket, key=key)

    def stream(self, key: str, *, bucket: str | None = None) -> Iterator[bytes]:
        """The object's bytes, in chunks; the request is made before the first one is asked for."""
        body = self._client.get_object(Bucket=bucket or self.bucket, Key=key)["Body"]
        return body.iter_chunks(CHUNK)

    def open(self, key: str) -> BinaryIO:
        return self._client.get_object(Bucket=self.bucket, Key=key)["Body"]  # pyright: ignore[reportReturnType]

    def put_file(self, key: str, path: Path) -> Entry:
        """Upload a file and read it back.

        Raises:
            IntegrityError: what the store answers is not what the file holds.
        """
        with self.writer(key) as writer, path.open("rb") as source:
            while chunk := source.read(CHUNK):
                writer.write(chunk)
        entry = Entry(name=path.name, bytes=writer.bytes, sha256=writer.sha256)
        self.verify(key, entry)
        return entry

    def verify(self, key: str, entry: Entry) -> None:
        """Read the object and compare.

        Raises:
            IntegrityError: size or SHA-256 differ.
        """
        digest, size = hashlib.sha256(), 0
        for chunk in self.stream(key):
            digest.update(chunk)
            size += len(chunk)
        _compare(key, entry, size=size, sha256=digest.hexdigest())

    def confirm(self, key: str, entry: Entry) -> None:
        """Read back what was just written; an object that holds something else is removed.

        Raises:
            IntegrityError: size or SHA-256 differ.
        """
        try:
            self.verify(key, entry)
        except IntegrityError:
            self.delete(key)
            raise

    def get_file(self, key: str, path: Path, *, entry: Entry) -> None:
        """Download to `path`, which appears only when all bytes are there and right.

        Raises:
            IntegrityError: size or SHA-256 differ.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{new_id('part-')}")
        digest, size = hashlib.sha256(), 0
        try:
            with partial.open("wb") as target:
                for chunk in self.stream(key):
                    target.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
            _compare(key, entry, size=size, sha256=digest.hexdigest())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def get_bytes(self, key: str, *, entry: Entry) -> bytes:
        """A small object, whole.

        Raises:
            IntegrityError: size or SHA-256 differ.
        """
        body = self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read(entry.bytes + 1)
        _compare(key, entry, size=len(body), sha256=hashlib.sha256(body).hexdigest())
        return body

    def put_folder(self, prefix: str, folder: Path) -> list[Entry]:
        """Upload every file below `folder` and, last of all, the manifest; answers the manifest's entries.

        Raises:
            IntegrityError: what the store answers is not what one of them holds.
        """
        entries: list[Entry] = []
        for path in sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink()):
            name = path.relative_to(folder).as_posix()
            stored = self.put_file(f"{prefix}{name}", path)
            entries.append(Entry(name=name, bytes=stored.bytes, sha256=stored.sha256))
        body = json.dumps([asdict(entry) for entry in entries], indent=1).encode()
        self._client.put_object(Bucket=self.bucket, Key=f"{prefix}{MANIFEST}", Body=body)
        self.verify(f"{prefix}{MANIFEST}", Entry(MANIFEST, len(body), hashlib.sha256(body).hexdigest()))
        return entries

    def get_folder(self, prefix: str, entries: Iterable[Entry], folder: Path) -> None:
        """Download the entries into `folder`, each verified.

        Raises:
            IntegrityError: a name leaves the folder, or bytes differ.
        """
        for entry in entries:
            self.get_file(f"{prefix}{entry.name}", folder / _inside(entry.name), entry=entry)

    def manifest(self, prefix: str) -> list[Entry] | None:
        """The entries of a folder that `put_folder` wrote; None where it is not there, or not whole yet."""
        try:
            body = b"".join(self.stream(f"{prefix}{MANIFEST}"))
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
                return None
            raise
        return Entry.many(json.loads(body))

    def get_prefix(self, bucket: str, prefix: str, folder: Path, *, suffixes: tuple[str, ...] | None = None) -> None:
        """Download the objects below a prefix of any bucket: a base model of the catalogue, which has no manifest.

        Args:
            suffixes: what the names of those that are wanted end with; null: all.

        Raises:
            IntegrityError: a name leaves the folder.
        """
        prefix = prefix.rstrip("/") + "/"
        for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                key = item.get("Key", "")
                if key.endswith("/") or (suffixes and not key.endswith(suffixes)):  # "/": a folder's marker
                    continue
                target = folder / _inside(key[len(prefix) :])
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    for chunk in self.stream(key, bucket=bucket):
                        file.write(chunk)

    def presign(self, key: str, *, filename: str, seconds: int) -> str:
        """A link that downloads the object without a key, for so many seconds."""
        safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in PurePosixPath(filename).name)
        return self._public.generate_presigned_url(
            "get_object",
            Params={
                "Bucket": self.bucket,
                "Key": key,
                "ResponseContentDisposition": f'attachment; filename="{safe}"',
            },
            ExpiresIn=seconds,
        )

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self.bucket, Key=key)

    def page(self, prefix: str, *, after: str = "") -> list[Stored]:
        """The next objects below a prefix, in the order of their keys; none where `after` is the last one."""
        answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=prefix, StartAfter=after)
        now = _store_time(answer)
        return [
            Stored(item.get("Key", ""), item.get("Size", 0), _seconds(now, item.get("LastModified")))
            for item in answer.get("Contents", [])
        ]

    def size(self, key: str) -> int | None:
        """Of the object; None where there is none."""
        try:
            return self._client.head_object(Bucket=self.bucket, Key=key)["ContentLength"]
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("404", "NoSuchKey"):
                return None
            raise

    def unfinished(self, prefix: str) -> list[Unfinished]:
        """The uploads below a prefix that somebody is at, or that somebody who was killed has left."""
        found: list[Unfinished] = []
        for page in self._client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix):
            now = _store_time(page)
            for item in page.get("Uploads", []):
                age = _seconds(now, item.get("Initiated"))
                found.append(Unfinished(item.get("Key", ""), item.get("UploadId", ""), age))
        return found

    def abort(self, upload: Unfinished) -> None:
        """Give the upload up; one that has just been finished stays as it is."""
        with suppress(self._client.exceptions.NoSuchUpload):
            self._client.abort_multipart_upload(Bucket=self.bucket, Key=upload.key, UploadId=upload.upload_id)


def _client(
    settings: Settings, endpoint: str | None, *, patience: float | None = None, attempts: int = 5
) -> "S3Client":
    secret = settings.s3_secret_access_key
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key_id,
        aws_secret_access_key=secret.get_secret_value() if secret else None,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path" if endpoint else "auto"},
            connect_timeout=patience or 5,
            read_timeout=patience or settings.s3_timeout_seconds,
            retries={"mode": "standard", "total_max_attempts": attempts},
            max_pool_connections=32,
            # Not every store knows the newer checksum trailers; our own SHA-256 is what counts.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def _store_time(answer: Any) -> datetime:
    """When the store answered, by its own clock."""
    return parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])


def _seconds(now: datetime, then: datetime | None) -> float:
    """From then to now; 0 where the store does not say when that was."""
    return max(0.0, (now - then).total_seconds()) if then else 0.0


def _inside(name: str) -> PurePosixPath:
    """The name as a path below a folder; IntegrityError where it leads out of it."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise IntegrityError(f"a stored name leads out of its folder: {name!r}")
    return path


def _compare(key: str, entry: Entry, *, size: int, sha256: str) -> None:
    if (size, sha256) != (entry.bytes, entry.sha256):
        raise IntegrityError(
            f"{os.path.basename(key)}: {size} bytes with SHA-256 {sha256}, expected {entry.bytes} with {entry.sha256}"
        )


def unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"the object store does not answer ({type(error).__name__}); try again")
