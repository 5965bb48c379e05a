"""Optimizers and learning-rate schedules: PyTorch's names, defaults and formulas."""

from tinytorch.optim import lr_scheduler
from tinytorch.optim.adam import Adam, AdamW
from tinytorch.optim.optimizer import Optimizer, OptimizerError
from tinytorch.optim.rmsprop import RMSprop
from tinytorch.optim.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "OptimizerError",
    "RMSprop",
    "lr_scheduler",
]
