import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
f = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 16))
g = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 16))
temp = nn.Parameter(torch.tensor(2.0))
opt = torch.optim.AdamW([*f.parameters(), *g.parameters(), temp], lr=1e-3)
mix = torch.randn(20, 20) / 4
for i in range(150):
    x = torch.randn(64, 20)
    y = x @ mix + 0.1 * torch.randn(64, 20)
    a, b = F.normalize(f(x), dim=-1), F.normalize(g(y), dim=-1)
    logits = a @ b.T * temp.exp()
    t = torch.arange(64)
    loss = (F.cross_entropy(logits, t) + F.cross_entropy(logits.T, t)) / 2
    opt.zero_grad()
    loss.backward()
    opt.step()
