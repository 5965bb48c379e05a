import torch
from torch import nn


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, lam):
        ctx.lam = lam
        return x.view_as(x)

    @staticmethod
    def backward(ctx, g):
        return -ctx.lam * g, None


class Round(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, g):
        return g


class Sign(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x.sign()

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * (x.abs() <= 1)


torch.manual_seed(0)
net = nn.Linear(8, 16)
head = nn.Linear(16, 2)
dom = nn.Linear(16, 2)
model = nn.ModuleDict({"net": net, "head": head, "dom": dom})
opt = torch.optim.SGD(model.parameters(), lr=0.1)
for i in range(100):
    x = torch.randn(32, 8)
    y = (x[:, 0] > 0).long()
    d = (x[:, 1] > 0).long()
    h = net(x)
    h = Sign.apply(Round.apply(h * 4) / 4 + h)
    loss = nn.functional.cross_entropy(head(h), y) + nn.functional.cross_entropy(
        dom(Reverse.apply(h, 0.1)), d
    )
    opt.zero_grad()
    loss.backward()
    opt.step()
