"""Takes symbols for debuggers out of shared libraries: a third of what wheels bring, and nothing that runs reads it.

What the loader maps is named by the program headers; beyond the last of those segments are the sections of names and
debugging data. The file ends there, and its header says that it has no sections (as `sstrip` does it).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

_ELF64_LITTLE: Final = b"\x7fELF\x02\x01"
_PROGRAM_HEADERS: Final = 32  # e_phoff
_PROGRAM_HEADER_SIZES: Final = 54  # e_phentsize, e_phnum
_SECTION_HEADERS: Final = 40  # e_shoff
_SECTION_HEADER_SIZES: Final = 58  # e_shentsize, e_shnum, e_shstrndx
_OFFSET, _FILE_SIZE = 8, 32  # p_offset, p_filesz


def without(library: bytes) -> bytes:
    """The same library without symbols for debuggers; anything but a 64-bit little-endian ELF file as it is."""
    if not library.startswith(_ELF64_LITTLE):
        return library
    (start,) = struct.unpack_from("<Q", library, _PROGRAM_HEADERS)
    size, count = struct.unpack_from("<HH", library, _PROGRAM_HEADER_SIZES)
    end = start + size * count
    for header in range(start, end, size):
        (offset,) = struct.unpack_from("<Q", library, header + _OFFSET)
        (length,) = struct.unpack_from("<Q", library, header + _FILE_SIZE)
        end = max(end, offset + length)
    cut = bytearray(library[:end])
    struct.pack_into("<Q", cut, _SECTION_HEADERS, 0)
    struct.pack_into("<HHH", cut, _SECTION_HEADER_SIZES, 0, 0, 0)
    return bytes(cut)


def strip(folder: Path) -> None:
    """Every library below `folder`."""
    for path in folder.rglob("*.so*"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(without(path.read_bytes()))
