"""Keep a training run in one safetensors file, written atomically and read back exactly."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gradcheck.frameworks.protocol import Array
from gradcheck.training.history import History
from gradcheck.training.trainer import Trainer
from gradcheck.yamlcases.case import Case

FORMAT = "gradcheck.train.1"
KEYS_THAT_MATTER = ("framework", "model", "args", "data", "loss", "optimizer", "step", "dtype")
"""Keys of a case that must not change between a run and its resumption."""


class CheckpointError(Exception):
    """A checkpoint cannot be written or used; the message says which file, why, and what to do."""


def save(trainer: Trainer, case: Case, path: Path) -> None:
    """Write parameters, buffers, optimizer state, losses and the case's settings to `path`."""
    from safetensors.numpy import save as to_bytes

    tensors: dict[str, Array] = {f"model.{n}": a for n, a in trainer.state().items()}
    described = _describe(_state_of(trainer.optimizer), "optimizer", tensors)
    tensors["history.losses"] = np.array(trainer.history.losses, np.float64)
    notes = {
        "format": FORMAT,
        "step": trainer.step,
        "optimizer": described,
        "evaluations": trainer.history.evaluations,
        "settings": settings(case, trainer),
    }
    ready = {k: np.ascontiguousarray(a).reshape(np.shape(a)) for k, a in tensors.items()}
    write_atomically(path, to_bytes(ready, {"gradcheck": json.dumps(notes)}))


def load(trainer: Trainer, case: Case, path: Path) -> None:
    """Restore `trainer` to where it was saved. On CheckpointError nothing has changed."""
    tensors, notes = read(path)
    now = settings(case, trainer)
    for key, value in now.items():
        if notes["settings"].get(key) != value:
            raise CheckpointError(
                f"{path} was trained with {key}: {_short(notes['settings'].get(key))}, the case "
                f"now says {_short(value)}; restore that line, or start again without --resume"
            )
    names = [n for n in tensors if n.startswith("model.")]
    try:
        trainer.restore({n.removeprefix("model."): tensors[n] for n in names})
    except KeyError as error:
        raise CheckpointError(
            f"{path} lacks {error.args[0]}: it belongs to another model; start again without "
            "--resume"
        ) from None
    framework = trainer.subject.framework
    state = _rebuild(notes["optimizer"], tensors, framework)
    trainer.optimizer.load_state_dict(state)
    trainer.history = History(
        [float(v) for v in tensors["history.losses"]],
        [(int(s), v) for s, v in notes["evaluations"]],
    )
    trainer.skip_to(int(notes["step"]))


def read(path: Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """(tensors, notes). Raises CheckpointError when the file is not one of ours or is damaged."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise CheckpointError(f"checkpoint {path} does not exist; start without --resume")
    try:
        with safe_open(str(path), framework="numpy") as file:
            notes = json.loads((file.metadata() or {}).get("gradcheck", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(
            f"{path} cannot be read ({error}); delete it and start without --resume"
        ) from error
    if notes.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} is not a checkpoint of `gradcheck train`; name another file, or start without "
            "--resume"
        )
    return tensors, notes


def settings(case: Case, trainer: Trainer) -> dict[str, Any]:
    """What must be the same for a resumed run to give the same numbers, as JSON values."""
    values = {k: getattr(case, k) for k in KEYS_THAT_MATTER}
    plain = {
        k: v.model_dump(mode="json") if hasattr(v, "model_dump") else v for k, v in values.items()
    }
    spec = trainer.spec
    plain["seed"] = trainer.subject.seed
    plain["clip"] = spec.clip
    plain["schedule"] = spec.schedule.model_dump(mode="json")
    if spec.schedule.name != "constant":
        plain["steps"] = spec.steps  # the rate depends on where the end is
    return json.loads(json.dumps(plain))


def write_atomically(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename: a crash leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)  # mkstemp makes it readable to its owner only
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _state_of(optimizer: Any) -> Mapping[str, Any]:
    state = getattr(optimizer, "state_dict", None)
    if not callable(state):
        raise CheckpointError(
            f"{type(optimizer).__name__} has no state_dict(), so a resumed run would not give the "
            "same numbers; give it state_dict() and load_state_dict(), or train with "
            "--no-checkpoint"
        )
    return state()


def _describe(value: Any, name: str, tensors: dict[str, Array]) -> Any:
    """`value` as JSON, its arrays moved to `tensors` and replaced by {"tensor": name}."""
    if isinstance(value, Mapping):
        items = [
            [key, _describe(each, f"{name}.{key}", tensors)] for key, each in value.items()
        ]  # pairs, since keys may be numbers
        return {"mapping": items}
    if isinstance(value, (list, tuple)):
        return {"list": [_describe(v, f"{name}.{i}", tensors) for i, v in enumerate(value)]}
    if value is None or isinstance(value, (bool, int, float, str)):
        return {"value": value}
    tensors[name] = np.array(value.detach() if hasattr(value, "detach") else value)
    return {"tensor": name}


def _rebuild(described: Any, tensors: Mapping[str, Array], framework: Any) -> Any:
    ((kind, content),) = described.items()
    if kind == "mapping":
        return {key: _rebuild(value, tensors, framework) for key, value in content}
    if kind == "list":
        return [_rebuild(value, tensors, framework) for value in content]
    if kind == "value":
        return content
    return framework.leaf(tensors[content], trainable=False)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
