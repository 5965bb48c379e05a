"""Fine-tuning a head on a frozen backbone, PyTorch. `--bug`: the head is replaced too late."""

import sys

import torch
from sklearn.datasets import load_digits
from torch import nn

BUG = "--bug" in sys.argv


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU()
        )
        self.fc = nn.Linear(64, 1000)

    def forward(self, x):
        return self.fc(self.features(x))


def build():
    torch.manual_seed(0)
    model = Backbone()
    for param in model.parameters():
        param.requires_grad = False
    model.fc = nn.Linear(64, 10)
    return model


def main():
    digits = load_digits()
    x = torch.tensor(digits.data / 16, dtype=torch.float32)
    y = torch.tensor(digits.target)
    model = build()
    for param in model.features[3].parameters():
        param.requires_grad = True
    optimizer = torch.optim.SGD(
        [p for p in model.parameters() if p.requires_grad], lr=0.1, momentum=0.9
    )
    if BUG:
        model.fc = nn.Linear(64, 10)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=5, gamma=0.1)
    for epoch in range(10):
        model.train()
        order = torch.randperm(len(x))
        for rows in order.split(64):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
        scheduler.step()
        model.eval()
        with torch.no_grad():
            accuracy = (model(x).argmax(1) == y).float().mean().item()
        print(epoch, loss.item(), accuracy)


if __name__ == "__main__":
    main()
