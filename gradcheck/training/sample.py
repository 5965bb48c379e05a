"""A piece of text that the trained model writes."""

from __future__ import annotations

from typing import Any

from gradcheck.probe.subject import Subject


def write_sample(
    subject: Subject, count: int, *, prompt: str | None = None, temperature: float = 0.8
) -> str | None:
    """The prompt and `count` tokens after it; None where model or data cannot do that.

    The model needs `generate(ids, count, temperature=..., seed=...)`, the dataset `encode(text)`
    and `decode(ids)`. Without a prompt the first token of the text begins.
    """
    model, dataset = subject.model, subject.dataset
    able = all(
        callable(getattr(thing, name, None))
        for thing, name in ((model, "generate"), (dataset, "encode"), (dataset, "decode"))
    )
    if not able or count < 1:
        return None
    begin: Any = dataset.encode(prompt) if prompt else dataset[0][0][:1]
    ids = model.generate(begin, count, temperature=temperature, seed=subject.seed)
    return str(dataset.decode(ids))
