"""Numpy's .npz files read as data: no pickles, and nothing unpacked that is larger than it may be."""

import io
import math
import zipfile
import zlib
from typing import IO

import numpy as np

from lakehouse.errors import DataError

MOST_BYTES = 512 * 1024 * 1024  # unpacked, all arrays of a file together


def load_arrays(data: bytes, name: str) -> dict[str, "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"]:
    """The arrays of a file by their names. Raises DataError before it unpacks another kind of file."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check(archive, name)
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        EOFError,
        RuntimeError,
    ) as error:  # Runtime: encrypted
        raise DataError(f"{name} is not a readable .npz file: {str(error)[:200]}.") from None


def _check(archive: zipfile.ZipFile, name: str) -> None:
    """Compare the sizes in the list of contents with those in each array's header, and with the limit."""
    members = archive.infolist()
    total = sum(member.file_size for member in members)
    if total > MOST_BYTES:
        raise DataError(f"{name} would unpack to {total:,} bytes; at most {MOST_BYTES:,} are allowed.")
    for member in members:
        with archive.open(member) as file:
            shape, _, kind = _header(file)
            promised = file.tell() + math.prod(shape) * kind.itemsize
        if kind.hasobject:
            raise DataError(f"{name} has Python objects in {member.filename[:80]}; a model is plain numbers and text.")
        if promised != member.file_size:
            raise DataError(
                f"{name} has {member.file_size:,} bytes in {member.filename[:80]}; its header says {promised:,}."
            )


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, "np.dtype[np.generic]"]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    header: tuple[tuple[int, ...], bool, np.dtype[np.generic]] = read(file)
    return header
