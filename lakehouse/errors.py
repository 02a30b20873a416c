"""Errors a user can act on: what happened, why, and what to do next, without a stack trace.

LakeError
├── UsageError      exit 2   wrong option or argument
├── DataError       exit 65  input that breaks a stated rule
├── UnavailableError exit 69  a service that must answer does not
└── RefusedError    exit 78  a start that would lose or double data
    └── NewerFormatError     a file that a newer version of the platform wrote
"""

import re


def first_line(text: str, otherwise: str) -> str:
    """The first line of a library's message that is not blank; `otherwise` when there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), otherwise)


def last_cause(text: str) -> str:
    """The last line of Spark's error that names an error or exception, Python's own before Java's; else the whole text.

    Java adds that a Python worker has ended; why it did stands before that. Lines of a stack are no cause.
    """
    lines = [line.strip() for line in text.splitlines() if "Error" in line or "Exception" in line]
    causes = [line for line in lines if not line.startswith("at ")]
    pythons = [line for line in causes if re.match(r"[A-Z]\w*Error: ", line)]
    return (pythons or causes or [text.strip()])[-1][:400].rstrip(".")


class LakeError(Exception):
    """A failure with a sentence for the user; `fix` says what to do next."""

    exit_code = 1

    def __init__(self, what: str, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what} {self.fix}".strip()


class UsageError(LakeError):
    """An option or argument that cannot be used."""

    exit_code = 2


class DataError(LakeError):
    """Input that breaks a stated rule."""

    exit_code = 65


class UnavailableError(LakeError):
    """A service or program that must answer does not."""

    exit_code = 69


class RefusedError(LakeError):
    """A start that would lose or double data."""

    exit_code = 78


class NewerFormatError(RefusedError):
    """A file that a newer version of the platform wrote."""

    def __init__(self, what: str, number: object, newest: int) -> None:
        super().__init__(
            f"{what} has format {number}, and this version reads formats up to {newest}.",
            "A newer version wrote it: install that version again.",
        )
