import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
enc = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 16))
pred = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 16))
opt = torch.optim.SGD(list(enc.parameters()) + list(pred.parameters()), lr=0.05, momentum=0.9)
base = torch.randn(512, 16)
for i in range(200):
    x = base[torch.randint(512, (64,))]
    a, b = x + 0.3 * torch.randn_like(x), x + 0.3 * torch.randn_like(x)
    za, zb = enc(a), enc(b)
    pa, pb = pred(za), pred(zb)
    loss = (
        -(F.cosine_similarity(pa, zb.detach()).mean() + F.cosine_similarity(pb, za.detach()).mean())
        / 2
    )
    opt.zero_grad()
    loss.backward()
    opt.step()
