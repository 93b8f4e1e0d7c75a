"""A hash over an app's Python files, so that `up` sees changed code. They are read, never imported.

Bounded: beyond MAX_BYTES a file counts by its size and time of change, beyond MAX_FILES the rest is not looked at.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MAX_FILES: Final = 5_000
MAX_FOLDERS: Final = 5_000
MAX_BYTES: Final = 64 * 2**20  # read in all
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "site-packages"})


def code_hash(folder: str, suffixes: tuple[str, ...] = (".py",)) -> str:
    """16 hexadecimal digits. Takes milliseconds for hundreds of files: call it in a thread."""
    total = hashlib.sha256()
    left = MAX_BYTES
    for number, path in enumerate(_files(folder, suffixes)):
        if number >= MAX_FILES:
            break
        try:
            stat = path.stat()
            left -= stat.st_size
            data = path.read_bytes() if left >= 0 else f"{stat.st_size} {stat.st_mtime_ns}".encode()
        except OSError:  # gone since it was listed, or not ours to read: then it is not run either
            data = b""
        total.update(f"{path.relative_to(folder)}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()[:16]


def _files(folder: str, suffixes: tuple[str, ...]) -> Iterator[Path]:
    """In a fixed order; without hidden folders, caches and virtual environments."""
    for number, (root, folders, files) in enumerate(os.walk(folder)):
        if number >= MAX_FOLDERS:
            return
        folders[:] = sorted(
            name
            for name in folders
            if not name.startswith(".")
            and name not in _SKIPPED
            and not os.path.exists(os.path.join(root, name, "pyvenv.cfg"))
        )
        for name in sorted(files):
            if name.endswith(suffixes):
                yield Path(root, name)
