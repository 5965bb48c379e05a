"""Data sets that ship with the package: a sample is (input, target), as numpy arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_HERE = Path(__file__).parent
Sample = tuple[NDArray[Any], Any]


class Arrays:
    """Samples cut from two arrays of equal length. source: where they came from, in one line."""

    source = ""

    def __init__(self, inputs: NDArray[Any], targets: NDArray[Any]) -> None:
        self.inputs = inputs
        self.targets = targets

    def __len__(self) -> int:
        return len(self.inputs)

    def __getitem__(self, i: int) -> Sample:
        return self.inputs[i], self.targets[i]


class Digits(Arrays):
    """1,797 handwritten digits. Input (1, 8, 8) float32 in 0..1, target the digit, int64."""

    source = "UCI Optical Recognition of Handwritten Digits, test set, 1,797 images (CC BY 4.0)"

    def __init__(self) -> None:
        with np.load(_HERE / "digits.npz") as file:
            images, labels = file["images"], file["labels"]
        super().__init__(images[:, None].astype(np.float32) / 16, labels.astype(np.int64))


class Iris(Arrays):
    """150 flowers. Input (4,) float32, each feature with mean 0 and deviation 1; target 0, 1, 2."""

    source = "R. A. Fisher's iris data (1936), 150 flowers (CC BY 4.0)"

    def __init__(self) -> None:
        with np.load(_HERE / "iris.npz") as file:
            x, labels = file["tenths"] / 10, file["labels"]
        x = (x - x.mean(axis=0)) / x.std(axis=0)
        super().__init__(x.astype(np.float32), labels.astype(np.int64))


class Xor(Arrays):
    """The four rows of exclusive or. Input (2,) float32, target (1,) float32."""

    source = "the truth table of exclusive or"

    def __init__(self) -> None:
        x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
        super().__init__(x, (x[:, :1] != x[:, 1:]).astype(np.float32))
