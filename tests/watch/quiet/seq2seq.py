import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
enc = nn.GRU(8, 32, batch_first=True)
emb = nn.Embedding(12, 8)
dec = nn.GRU(8, 32, batch_first=True)
out = nn.Linear(32, 12)
eo = torch.optim.Adam([*enc.parameters(), *emb.parameters()], lr=1e-2)
do = torch.optim.Adam([*dec.parameters(), *out.parameters()], lr=1e-2)
for i in range(100):
    src = torch.randint(2, 12, (32, 6))
    tgt = torch.cat([torch.ones(32, 1, dtype=torch.long), src.flip(1)], 1)
    eo.zero_grad()
    do.zero_grad()
    _, h = enc(emb(src))
    o, _ = dec(emb(tgt[:, :-1]), h)
    loss = F.cross_entropy(out(o).transpose(1, 2), tgt[:, 1:])
    loss.backward()
    eo.step()
    do.step()
