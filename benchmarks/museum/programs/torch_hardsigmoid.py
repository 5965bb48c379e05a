import torch


def shipped():
    return torch.nn.functional.hardsigmoid, (torch.randn(3, 4),)


def right():
    return lambda x: torch.clamp(x + 3, 0, 6) / 6, (torch.randn(3, 4),)
