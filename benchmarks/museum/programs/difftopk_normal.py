import math

import torch
from difftopk.functional import NormalCDF

SIGMA = 0.1


def shipped():
    return lambda x: NormalCDF.apply(x, SIGMA), (0.2 * torch.randn(3, 4),)


def right():
    return lambda x: 0.5 + 0.5 * torch.erf(x / SIGMA / math.sqrt(2)), (0.2 * torch.randn(3, 4),)
