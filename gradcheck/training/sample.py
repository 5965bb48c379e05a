"""Sample text from the trained model."""

from __future__ import annotations

from typing import Any

from gradcheck.frameworks.protocol import Generates, TellsSource, Tokenizes
from gradcheck.probe.subject import Subject


def write_sample(
    subject: Subject, count: int, *, prompt: str | None = None, temperature: float = 0.8
) -> str | None:
    """The prompt and `count` tokens after it; None where model or data cannot do that.

    See `Generates` and `Tokenizes`. Without a prompt the text starts with its first token.
    """
    model: Any = subject.model
    dataset: Any = subject.dataset
    if count < 1 or not isinstance(model, Generates) or not isinstance(dataset, Tokenizes):
        return None
    begin = dataset.encode(prompt) if prompt else subject.dataset[0][0][:1]
    ids = model.generate(begin, count, temperature=temperature, seed=subject.seed)
    return str(dataset.decode(ids))


def source_of(dataset: Any) -> str:
    """Return where the samples come from; '' if the dataset does not say."""
    return str(dataset.source) if isinstance(dataset, TellsSource) else ""
