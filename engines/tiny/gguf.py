"""GGUF version 3, as much of it as one small llama needs: write it, and read it back to check it.

Layout (ggml docs/gguf.md): magic, version, counts, key-value pairs, tensor table, padding to `ALIGNMENT`, numbers.
Shapes are written fastest axis first, which is the reverse of numpy's.
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

VERSION: Final = 3
ALIGNMENT: Final = 32
Value = bool | int | float | str | Sequence[int] | Sequence[str]
Array = NDArray[np.float16] | NDArray[np.float32]

_U32, _I32, _F32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9
_SCALAR: Final = {_U32: "<I", _I32: "<i", _F32: "<f", _BOOL: "<?"}
_KIND: Final = ("<f4", "<f2")  # ggml's type numbers 0 and 1


@dataclass(frozen=True, slots=True)
class Contents:
    keys: Mapping[str, Value]
    tensors: Mapping[str, Array]


def write(path: Path, contents: Contents) -> None:
    head = io.BytesIO()
    head.write(b"GGUF" + struct.pack("<IQQ", VERSION, len(contents.tensors), len(contents.keys)))
    for key, value in contents.keys.items():
        head.write(_string(key) + _typed(value))
    offset = 0
    for name, tensor in contents.tensors.items():
        kind = 1 if tensor.dtype == np.float16 else 0
        shape = tensor.shape[::-1]
        head.write(_string(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, offset))
        offset += _padded(tensor.nbytes)
    with path.open("wb") as f:
        f.write(head.getvalue().ljust(_padded(head.tell()), b"\0"))
        for tensor in contents.tensors.values():
            f.write(np.ascontiguousarray(tensor).tobytes().ljust(_padded(tensor.nbytes), b"\0"))


def read(path: Path) -> Contents:
    with path.open("rb") as f:
        magic, version = f.read(4), _unpack(f, "<I")
        if magic != b"GGUF" or version != VERSION:
            raise ValueError(f"{path} is not GGUF version 3")
        tensor_count, key_count = _unpack(f, "<Q"), _unpack(f, "<Q")
        keys = {_read_string(f): _read_value(f, int(_unpack(f, "<I"))) for _ in range(int(key_count))}
        table = [_read_entry(f) for _ in range(int(tensor_count))]
        start = _padded(f.tell())
        tensors: dict[str, Array] = {}
        for name, shape, kind, offset in table:
            f.seek(start + offset)
            dtype = np.dtype(_KIND[kind])
            numbers: Array = np.frombuffer(f.read(math.prod(shape) * dtype.itemsize), dtype)
            tensors[name] = numbers.reshape(shape)
    return Contents(keys, tensors)


def _padded(size: int) -> int:
    return size + -size % ALIGNMENT


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _typed(value: Value) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case int():
            return struct.pack("<II", _U32, value)
        case float():
            return struct.pack("<If", _F32, value)
        case str():
            return struct.pack("<I", _STRING) + _string(value)
        case _:
            kind = _I32 if value and isinstance(value[0], int) else _STRING
            items = (struct.pack("<i", v) if isinstance(v, int) else _string(v) for v in value)
            return struct.pack("<IIQ", _ARRAY, kind, len(value)) + b"".join(items)


def _unpack(f: BinaryIO, fmt: str) -> int | float | bool:
    value: int | float | bool = struct.unpack(fmt, f.read(struct.calcsize(fmt)))[0]
    return value


def _read_string(f: BinaryIO) -> str:
    return f.read(int(_unpack(f, "<Q"))).decode()


def _read_value(f: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _read_string(f)
    if kind != _ARRAY:
        return _unpack(f, _SCALAR[kind])
    item, count = int(_unpack(f, "<I")), int(_unpack(f, "<Q"))
    if item == _STRING:
        return [_read_string(f) for _ in range(count)]
    return [int(_unpack(f, _SCALAR[item])) for _ in range(count)]


def _read_entry(f: BinaryIO) -> tuple[str, tuple[int, ...], int, int]:
    """Name, shape, ggml type, offset."""
    name = _read_string(f)
    axes = int(_unpack(f, "<I"))
    shape = tuple(int(_unpack(f, "<Q")) for _ in range(axes))[::-1]
    kind, offset = int(_unpack(f, "<I")), int(_unpack(f, "<Q"))
    return name, shape, kind, offset
