"""Handwritten digits, an MLP, PyTorch. `--bug`: zero_grad is missing."""

import sys

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset

BUG = "--bug" in sys.argv


def train(model, loader, optimizer, criterion):
    model.train()
    total = 0
    for images, labels in loader:
        if not BUG:
            optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / len(loader)


def evaluate(model, loader):
    model.eval()
    right = 0
    with torch.no_grad():
        for images, labels in loader:
            right += (model(images).argmax(1) == labels).sum().item()
    return right / len(loader.dataset)


data = load_digits()
x = torch.tensor(data.data / 16, dtype=torch.float32)
y = torch.tensor(data.target)
train_loader = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=64, shuffle=True)
test_loader = DataLoader(TensorDataset(x[1500:], y[1500:]), batch_size=64)
model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.2), nn.Linear(64, 10))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
print("before", evaluate(model, test_loader))
for epoch in range(10):
    loss = train(model, train_loader, optimizer, criterion)
    print(epoch, loss, evaluate(model, test_loader))
