"""Datasets and loaders: PyTorch's `torch.utils.data`, single-threaded and repeatable by seed."""

from tinytorch.data.dataset import Dataset, Subset, TensorDataset, random_split
from tinytorch.data.loader import DataLoader, default_collate

__all__ = [
    "DataLoader",
    "Dataset",
    "Subset",
    "TensorDataset",
    "default_collate",
    "random_split",
]
