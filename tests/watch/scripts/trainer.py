"""A Trainer class, tinytorch. `--bug`: the learning rate is far too high."""

import sys

import numpy as np

import tinytorch
from tinytorch import Tensor, nn, optim


class Config:
    lr = 30.0 if "--bug" in sys.argv else 0.05
    epochs = 4
    batch_size = 32


class Trainer:
    def __init__(self, model, config, train_set):
        self.model = model
        self.config = config
        self.train_set = train_set
        self.optimizer = optim.SGD(model.parameters(), lr=config.lr, momentum=0.9)
        self.loss_fn = nn.MSELoss()
        self.history = []

    def batches(self):
        x, y = self.train_set
        order = np.random.permutation(len(x))
        for start in range(0, len(x), self.config.batch_size):
            rows = order[start : start + self.config.batch_size]
            yield Tensor(x[rows]), Tensor(y[rows])

    def train_step(self, x, y):
        self.optimizer.zero_grad()
        loss = self.loss_fn(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        return float(loss.data)

    def fit(self):
        for epoch in range(self.config.epochs):
            losses = [self.train_step(x, y) for x, y in self.batches()]
            self.history.append(np.mean(losses))
            print(f"epoch {epoch}: {self.history[-1]:.4f}")


if __name__ == "__main__":
    np.random.seed(0)
    tinytorch.manual_seed(0)
    x = np.random.randn(1024, 8).astype(np.float32)
    y = np.tanh(x[:, :1] * x[:, 1:2]) + x[:, 2:3]
    net = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    Trainer(net, Config, (x, y)).fit()
