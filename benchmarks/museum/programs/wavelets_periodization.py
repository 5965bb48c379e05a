import torch
from wavelets_reflect import transform


def shipped():
    return transform("periodization"), (torch.randn(1, 2, 11),)


def right():
    """An even length is not padded."""
    return transform("periodization"), (torch.randn(1, 2, 12),)
