import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
V = 30


class Enc(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(V, 32)
        self.p = nn.Embedding(16, 32)
        nn.init.normal_(self.e.weight, std=0.02)
        self.l = nn.TransformerEncoder(nn.TransformerEncoderLayer(32, 2, 64, batch_first=True), 2)
        self.h = nn.Linear(32, V)
        self.pooler = nn.Linear(32, 32)

    def forward(self, x):
        return self.h(self.l(self.e(x) + self.p(torch.arange(x.size(1)))))


m = Enc()
opt = torch.optim.AdamW(m.parameters(), lr=3e-3)
for i in range(150):
    x = (torch.arange(16)[None] * torch.randint(1, 4, (32, 1)) + torch.randint(0, 8, (32, 1))) % (
        V - 1
    )
    y = x.clone()
    mask = torch.rand(x.shape) < 0.15
    y[~mask] = -100
    x = x.masked_fill(mask, V - 1)
    loss = F.cross_entropy(m(x).view(-1, V), y.view(-1))
    loss.backward()
    opt.step()
    opt.zero_grad()
