"""A GAN on a ring of points, PyTorch. `--bug`: the generator's step detaches what it made."""

import math
import sys

import torch
from torch import nn

BUG = "--bug" in sys.argv
torch.manual_seed(0)
G = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 2))
D = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
criterion = nn.BCEWithLogitsLoss()
optimizerD = torch.optim.Adam(D.parameters(), lr=2e-4, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(G.parameters(), lr=2e-4, betas=(0.5, 0.999))
for i in range(200):
    # (1) update D: maximize log(D(x)) + log(1 - D(G(z)))
    D.zero_grad()
    angle = 2 * math.pi * torch.rand(64)
    real = torch.stack([angle.cos(), angle.sin()], 1)
    label = torch.ones(64, 1)
    errD_real = criterion(D(real), label)
    errD_real.backward()
    noise = torch.randn(64, 8)
    fake = G(noise)
    label = torch.zeros(64, 1)
    errD_fake = criterion(D(fake.detach()), label)
    errD_fake.backward()
    optimizerD.step()
    # (2) update G: maximize log(D(G(z)))
    G.zero_grad()
    label = torch.ones(64, 1)
    if BUG:
        output = D(fake.detach())
    else:
        output = D(fake)
    errG = criterion(output, label)
    errG.backward()
    optimizerG.step()
    if i % 50 == 0:
        print(i, errD_real.item() + errD_fake.item(), errG.item())
