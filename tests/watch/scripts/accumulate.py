"""Gradient accumulation with a warm-up, PyTorch. `--bug`: the loss is not divided."""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

BUG = "--bug" in sys.argv
ACCUMULATE = 4
torch.manual_seed(0)
x = torch.randn(2048, 20)
y = torch.sin(x[:, :3].sum(1)) + 0.1 * torch.randn(2048)
loader = DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True, num_workers=2)
model = nn.Sequential(nn.Linear(20, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.01)
scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min(1.0, s / 10))
loss_fn = nn.MSELoss()
for epoch in range(4):
    running = 0.0
    for i, (inputs, targets) in enumerate(loader):
        loss = loss_fn(model(inputs).squeeze(-1), targets)
        running += loss.item()
        if not BUG:
            loss = loss / ACCUMULATE
        loss.backward()
        if (i + 1) % ACCUMULATE == 0:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            scheduler.step()
            optimizer.zero_grad(set_to_none=True)
    print(epoch, running / len(loader))
