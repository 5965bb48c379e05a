import torch
from pytorch_wavelets import DWT1DForward


def transform(mode):
    layer = DWT1DForward(J=1, wave="db2", mode=mode).double()

    def both(x):
        low, (high,) = layer(x)
        return torch.cat([low, high], -1)

    return both


def shipped():
    return transform("reflect"), (torch.randn(1, 2, 12),)


def right():
    return transform("zero"), (torch.randn(1, 2, 12),)
