"""The data sets that ship are what they say they are, and the models have the shapes they say."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from gradcheck.plugins import basics
from gradcheck.plugins.basics import chars, data, models

import tinytorch


def test_digits_equal_scikit_learns_own_file():
    datasets = pytest.importorskip("sklearn.datasets")
    theirs, ours = datasets.load_digits(), data.Digits()
    assert len(ours) == 1797
    assert np.array_equal(ours.inputs[:, 0] * 16, theirs.images)
    assert np.array_equal(ours.targets, theirs.target)


def test_iris_equals_scikit_learns_own_file():
    datasets = pytest.importorskip("sklearn.datasets")
    theirs = datasets.load_iris()
    with np.load(Path(basics.__file__).with_name("iris.npz")) as file:
        assert np.allclose(file["tenths"] / 10, theirs.data, rtol=0, atol=1e-12)
        assert np.array_equal(file["labels"], theirs.target)


def test_what_is_stored_is_small_and_whole_numbers():
    with np.load(Path(basics.__file__).with_name("digits.npz")) as file:
        images = file["images"]
    assert (images.dtype, images.shape) == (np.uint8, (1797, 8, 8))
    assert (images.min(), images.max()) == (0, 16)
    # Known without scikit-learn too: the digest of the raw bytes.
    assert hashlib.sha256(images.tobytes()).hexdigest() == DIGITS


DIGITS = "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"


def test_digits_are_scaled_for_training():
    digits = data.Digits()
    image, label = digits[0]
    assert (image.dtype, image.shape) == (np.float32, (1, 8, 8))
    assert (digits.inputs.min(), digits.inputs.max()) == (0, 1)
    assert label == 0


def test_iris_is_standardized():
    iris = data.Iris()
    assert np.allclose(iris.inputs.mean(0), 0, atol=1e-6)
    assert np.allclose(iris.inputs.std(0), 1, atol=1e-6)
    assert np.bincount(iris.targets).tolist() == [50, 50, 50]


def test_xor_is_exclusive_or():
    xor = data.Xor()
    assert {tuple(x): y[0] for x, y in (xor[i] for i in range(4))} == {
        (0, 0): 0,
        (0, 1): 1,
        (1, 0): 1,
        (1, 1): 0,
    }


def test_character_targets_are_the_inputs_one_further_on():
    sequences = chars.CharSequences(length=12, samples=50, seed=3)
    assert len(sequences) == 50
    for i in range(len(sequences) - 1):
        x, y = sequences[i]
        assert (len(x), len(y)) == (12, 12)
        assert np.array_equal(x[1:], y[:-1])
        assert y[-1] == sequences[i + 1][0][0]


def test_character_sequences_follow_from_their_seed():
    one, same, other = (chars.CharSequences(seed=s) for s in (1, 1, 2))
    assert np.array_equal(one.ids, same.ids)
    assert not np.array_equal(one.ids, other.ids)
    assert "".join(chars.ALPHABET[i] for i in one.ids[:4]).strip()


@pytest.mark.parametrize("dataset", [data.Digits, data.Iris, data.Xor, chars.CharSequences])
def test_every_dataset_says_where_it_comes_from(dataset):
    assert len(dataset().source) > 10


def test_attribution_ships_with_the_files():
    text = Path(basics.__file__).with_name("SOURCES.md").read_text("utf-8")
    for word in ("digits.npz", "Alpaydin", "iris.npz", "Fisher", "CC BY 4.0"):
        assert word in text


def test_shapes_of_the_models():
    images = tinytorch.Tensor(np.zeros((3, 1, 8, 8), np.float32))
    ids = tinytorch.Tensor(np.zeros((3, 5), np.int64))
    assert models.Logistic(64, 10)(images).shape == (3, 10)
    assert models.MLP([64, 16, 10], dropout=0.5)(images).shape == (3, 10)
    assert models.CNN(norm=True)(images).shape == (3, 10)
    assert models.CharLSTM()(ids).shape == (3, 5, 28)
    assert models.XorNet()(tinytorch.Tensor(np.zeros((3, 2), np.float32))).shape == (3, 1)


def test_an_unknown_activation_is_named():
    with pytest.raises(ValueError, match="'swoosh'; there are: relu, tanh"):
        models.MLP([2, 2, 2], activation="swoosh")
