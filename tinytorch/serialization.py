"""Saving and loading with safetensors: no pickle, no code in a file.

A dict of tensors (a state_dict) makes a plain safetensors file that any tool reads. Anything
nested, such as `{"model": model, "optimizer": optimizer, "step": 100}`, makes one too: its arrays
are the tensors, and the rest of it is JSON in the file's metadata.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinytorch.errors import TinytorchError
from tinytorch.tensor import Tensor

_TREE = "tinytorch.tree"
_TIED = "tinytorch.tied"


class SerializationError(TinytorchError):
    """An object cannot be saved, or a file cannot be loaded."""


def save(obj: Any, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None) -> None:
    """Write a Module, a state_dict or a nested dict of arrays and plain values to `path`.

    In a nested dict a module, optimizer or scheduler stands for its state_dict.

    A tensor that stands under several names (a tied weight) is written once. The file appears whole
    or not at all: it is written beside `path` and then renamed. metadata: text of your own, see
    `load_metadata`. Raises SerializationError, naming the place, for what cannot be saved.
    """
    from safetensors.numpy import save as to_bytes

    if hasattr(obj, "state_dict"):
        obj = obj.state_dict()
    if not isinstance(obj, Mapping):
        raise SerializationError(
            f"save() takes a Module or a dict, got {type(obj).__name__}; wrap it: {{'value': ...}}"
        )
    notes = dict(metadata or {})
    for k, v in notes.items():
        if not isinstance(k, str) or not isinstance(v, str):
            raise SerializationError(f"metadata must map text to text, got {k!r}: {v!r}")
    tensors: dict[str, NDArray[Any]] = {}
    if obj and all(isinstance(k, str) and _is_array(v) for k, v in obj.items()):
        tensors = {k: _plain(v) for k, v in obj.items()}
    else:
        notes[_TREE] = json.dumps(_describe(obj, "", tensors))
    tied = _drop_tied(tensors)
    if tied:
        notes[_TIED] = json.dumps(tied)
    # safetensors takes the bytes of an array as they lie, so strides must be plain
    ready = {k: np.ascontiguousarray(a).reshape(a.shape) for k, a in tensors.items()}
    for name, array in ready.items():
        if array.dtype.kind not in "fiub" or array.dtype.itemsize > 8:
            raise SerializationError(f"{name!r} holds {array.dtype}, which safetensors cannot keep")
    _write(Path(path), to_bytes(ready, notes or None))


def load(path: str | os.PathLike[str]) -> dict[str, Any]:
    """What `save` wrote: a dict of Tensors, nested as it was. Any safetensors file will do.

    Raises FileNotFoundError, and SerializationError for a file that is no safetensors file.
    """
    tensors, notes = _read(path)
    for name, kept in json.loads(notes.get(_TIED, "{}")).items():
        tensors[name] = tensors[kept]
    loaded = {name: Tensor(array) for name, array in tensors.items()}
    if _TREE not in notes:
        return loaded
    tree: dict[str, Any] = _rebuild(json.loads(notes[_TREE]), loaded)
    return tree


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The metadata that was given to `save`."""
    return {k: v for k, v in _read(path)[1].items() if k not in (_TREE, _TIED)}


def _is_array(value: Any) -> bool:
    return isinstance(value, (Tensor, np.ndarray))


def _plain(value: Any) -> NDArray[Any]:
    array: NDArray[Any] = value._data if isinstance(value, Tensor) else value
    return array


def _drop_tied(tensors: dict[str, NDArray[Any]]) -> dict[str, str]:
    """Take out every name of an array after its first; returns {dropped name: kept name}."""
    first: dict[tuple[Any, ...], str] = {}
    tied = {}
    for name, a in list(tensors.items()):
        place = a.__array_interface__["data"][0]
        key = (place, a.shape, a.strides, a.dtype.str)
        if a.size and key in first:
            tied[name] = first[key]
            del tensors[name]
        else:
            first[key] = name
    return tied


def _describe(value: Any, place: str, tensors: dict[str, NDArray[Any]]) -> Any:
    """`value` as JSON: one-key objects mark what JSON lacks; arrays go to `tensors`."""
    if hasattr(value, "state_dict"):
        value = value.state_dict()
    if _is_array(value):
        name = place
        while name in tensors:  # {"a": {"b": ...}, "a.b": ...}
            name += "'"
        tensors[name] = _plain(value)
        return {"tensor": name}
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        items = []
        for key, item in value.items():
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise SerializationError(f"key {key!r} in {place or 'the dict'} is no text or int")
            items.append([key, _describe(item, f"{place}.{key}" if place else str(key), tensors)])
        return {"dict": items}
    if isinstance(value, (list, tuple)):
        kind = "tuple" if isinstance(value, tuple) else "list"
        return {kind: [_describe(v, f"{place}.{i}", tensors) for i, v in enumerate(value)]}
    raise SerializationError(
        f"{place or 'the object'} holds a {type(value).__name__}; only arrays, numbers, text, "
        "None, dicts, lists and what has a state_dict() can be saved"
    )


def _rebuild(tree: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(tree, dict):
        return tree
    ((kind, content),) = tree.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _rebuild(item, tensors) for key, item in content}
    parts = [_rebuild(item, tensors) for item in content]
    return tuple(parts) if kind == "tuple" else parts


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, NDArray[Any]], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    try:
        with safe_open(file, framework="np") as opened:
            names = list(opened.keys())
            return {n: opened.get_tensor(n) for n in names}, dict(opened.metadata() or {})
    except (SafetensorError, TypeError) as error:
        raise SerializationError(
            f"{file} cannot be read as a safetensors file of numpy dtypes: {error}"
        ) from error


def _write(path: Path, content: bytes) -> None:
    """All or nothing: a reader sees the old file or the new one, also after a crash."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes the file readable for its owner only
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
