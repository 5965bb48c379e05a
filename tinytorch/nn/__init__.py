"""Layers and losses with PyTorch's names."""

from tinytorch.nn import functional, init, utils
from tinytorch.nn.activation import (
    GELU,
    LeakyReLU,
    LogSoftmax,
    ReLU,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinytorch.nn.containers import ModuleDict, ModuleList, Sequential
from tinytorch.nn.convolution import AvgPool2d, Conv1d, Conv2d, MaxPool2d
from tinytorch.nn.linear import Dropout, Embedding, Flatten, Identity, Linear
from tinytorch.nn.loss import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    HuberLoss,
    L1Loss,
    MSELoss,
    NLLLoss,
)
from tinytorch.nn.module import Module
from tinytorch.nn.normalization import BatchNorm1d, BatchNorm2d, LayerNorm, RMSNorm
from tinytorch.nn.parameter import Parameter
from tinytorch.nn.recurrent import GRU, LSTM, RNN
from tinytorch.nn.state import StateDictError

__all__ = [
    "GELU",
    "GRU",
    "LSTM",
    "RNN",
    "AvgPool2d",
    "BCEWithLogitsLoss",
    "BatchNorm1d",
    "BatchNorm2d",
    "Conv1d",
    "Conv2d",
    "CrossEntropyLoss",
    "Dropout",
    "Embedding",
    "Flatten",
    "HuberLoss",
    "Identity",
    "L1Loss",
    "LayerNorm",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MSELoss",
    "MaxPool2d",
    "Module",
    "ModuleDict",
    "ModuleList",
    "NLLLoss",
    "Parameter",
    "RMSNorm",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "StateDictError",
    "Tanh",
    "functional",
    "init",
    "utils",
]
