"""A VAE on digits, PyTorch. `--bug`: a layer of the decoder is missing from the optimizer."""

import sys

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

BUG = "--bug" in sys.argv


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 48)
        self.mu = nn.Linear(48, 4)
        self.logvar = nn.Linear(48, 4)
        self.fc3 = nn.Linear(4, 48)
        self.fc4 = nn.Linear(48, 64)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.mu(h), self.logvar(h)

    def decode(self, z):
        return self.fc4(F.relu(self.fc3(z)))

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decode(z), mu, logvar


def loss_function(recon, x, mu, logvar):
    bce = F.binary_cross_entropy_with_logits(recon, x, reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


torch.manual_seed(0)
data = torch.tensor(load_digits().data / 16, dtype=torch.float32)
loader = torch.utils.data.DataLoader(data, batch_size=128, shuffle=True)
model = VAE()
params = model.parameters()
if BUG:
    params = [p for m in (model.fc1, model.mu, model.logvar, model.fc4) for p in m.parameters()]
optimizer = torch.optim.Adam(params, lr=2e-3)
for epoch in range(1, 6):
    train_loss = 0
    for batch in loader:
        optimizer.zero_grad()
        recon, mu, logvar = model(batch)
        loss = loss_function(recon, batch, mu, logvar)
        loss.backward()
        train_loss += loss.item()
        optimizer.step()
    print(f"epoch {epoch} loss {train_loss / len(data):.4f}")
