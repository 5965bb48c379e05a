import torch
from pypose.lietensor.operation import SE3_AdjTXa, SE3_AdjXa, SE3_Inv


def inputs():
    quaternion = torch.nn.functional.normalize(torch.randn(3, 4), dim=-1)
    return torch.cat([torch.randn(3, 3), quaternion], -1), torch.randn(3, 6)


def shipped():
    """With respect to `a` alone: a gradient by a pose lives in its tangent space."""
    pose, a = inputs()
    return lambda a: SE3_AdjTXa.apply(pose, a), (a,)


def right():
    pose, a = inputs()
    return lambda a: SE3_AdjXa.apply(SE3_Inv.apply(pose), a), (a,)
