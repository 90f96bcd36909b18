"""What clients say about a file: in the form of `POST /v1/files`, and in the bodies of `/v1/uploads`."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from core.specs.strict import Strict

# Only fine-tune is training data; the contract's other purposes are stored as they are.
Purpose = Literal["fine-tune", "evals", "user_data", "assistants", "batch", "vision"]
LONGEST_FILENAME = 255
MOST_PARTS = 10_000


def check_filename(name: str) -> str:
    """A plain file name, or ValueError: no folders, no control characters, at most 255 characters."""
    if (
        not name
        or name in (".", "..")
        or len(name) > LONGEST_FILENAME
        or any(c in "/\\" or not c.isprintable() for c in name)
    ):
        raise ValueError(
            f"{name[:100]!r} is not a file name; give a plain name of at most {LONGEST_FILENAME} printable "
            "characters, without '/', '\\' or '..'"
        )
    return name


FileName = Annotated[str, Field(min_length=1, max_length=LONGEST_FILENAME), AfterValidator(check_filename)]


class ExpiresAfter(Strict):
    """When the file is gone: so many seconds after it was made."""

    anchor: Literal["created_at"]
    seconds: int = Field(ge=3600, le=2_592_000, description="1 hour to 30 days.")


class NullMeansDefault(Strict):
    @model_validator(mode="before")
    @classmethod
    def null_means_default(cls, body: Any) -> Any:
        """The contract's clients may send null for whatever is optional."""
        return {k: v for k, v in body.items() if v is not None} if isinstance(body, dict) else body


class FileForm(NullMeansDefault):
    """The fields that come with a file."""

    purpose: Purpose
    expires_after: ExpiresAfter | None = None


class UploadSpec(NullMeansDefault):
    """The body of `POST /v1/uploads`: a large file is announced."""

    filename: FileName
    purpose: Purpose
    bytes: int = Field(ge=1, le=2**62, description="Its size; the parts have to sum up to it.")
    mime_type: str = Field(min_length=1, max_length=255)
    expires_after: ExpiresAfter | None = Field(default=None, description="Of the file that the upload becomes.")


class CompletionSpec(NullMeansDefault):
    """The body of `POST /v1/uploads/{id}/complete`: the parts, in the order in which they make the file."""

    part_ids: list[Annotated[str, StringConstraints(min_length=1, max_length=64)]] = Field(
        min_length=1, max_length=MOST_PARTS
    )
    md5: Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{32}$")] | None = Field(
        default=None, description="Of the whole file, in hexadecimal; the upload is refused where it differs."
    )
