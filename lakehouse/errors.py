"""Errors a user can act on: what happened, why, and what to do next, without a stack trace.

LakeError
├── UsageError      exit 2   wrong option or argument
├── DataError       exit 65  input that breaks a stated rule
├── UnavailableError exit 69  a service that must answer does not
└── RefusedError    exit 78  a start that would lose or double data
    └── NewerFormatError     a file that a newer version of the platform wrote
"""


def first_line(text: str, otherwise: str) -> str:
    """The first line of a library's message that is not blank; `otherwise` when there is none."""
    return next((line.strip() for line in text.splitlines() if line.strip()), otherwise)


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
