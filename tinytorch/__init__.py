"""tinytorch: a small numpy framework with PyTorch's names."""

from tinytorch.tensor import Tensor as Tensor
