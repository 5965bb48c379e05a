"""A small CNN on drawn shapes, tinytorch. `--bug`: a softmax before the cross-entropy."""

import sys

import numpy as np

import tinytorch as tt
from tinytorch import Tensor, nn
from tinytorch.data import DataLoader, TensorDataset
from tinytorch.nn import functional as F

BUG = "--bug" in sys.argv
rng = np.random.default_rng(1)


def draw(kind):
    image = 0.2 * rng.standard_normal((12, 12))
    r, c = rng.integers(2, 8, 2)
    if kind == 0:
        image[r, 1:11] += 1
    elif kind == 1:
        image[1:11, c] += 1
    else:
        image[r : r + 3, c : c + 3] += 1
    return image


labels = rng.integers(0, 3, 512)
images = np.stack([draw(k) for k in labels])[:, None].astype(np.float32)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.fc = nn.Linear(8 * 36, 3)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = self.fc(x.reshape(x.shape[0], -1))
        return F.softmax(x, -1) if BUG else x


tt.manual_seed(0)
net = Net()
sgd = tt.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
loader = DataLoader(TensorDataset(Tensor(images), Tensor(labels)), batch_size=32, shuffle=True)
for epoch in range(3):
    for x, y in loader:
        loss = F.cross_entropy(net(x), y)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    print(epoch, loss.item())
