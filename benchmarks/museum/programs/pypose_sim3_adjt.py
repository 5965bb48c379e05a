import torch
from pypose.lietensor.operation import Sim3_AdjTXa, Sim3_AdjXa, Sim3_Inv


def inputs():
    quaternion = torch.nn.functional.normalize(torch.randn(3, 4), dim=-1)
    pose = torch.cat([torch.randn(3, 3), quaternion, torch.rand(3, 1) + 0.5], -1)
    return pose, torch.randn(3, 7)


def shipped():
    pose, a = inputs()
    return lambda a: Sim3_AdjTXa.apply(pose, a), (a,)


def right():
    pose, a = inputs()
    return lambda a: Sim3_AdjXa.apply(Sim3_Inv.apply(pose), a), (a,)
