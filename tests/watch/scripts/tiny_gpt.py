"""A character-level GPT on little stories, on tinytorch."""

import argparse

import numpy as np

import tinytorch
from tinytorch import Tensor, nn, optim
from tinytorch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--lr", type=float, default=3e-4)
parser.add_argument("--cut", action="store_true", help="rebuild the logits as a new Tensor")
args = parser.parse_args()

rng = np.random.default_rng(0)
tinytorch.manual_seed(0)
WHO, WHAT, WHERE = ["Tim", "Lily", "a dog", "the cat"], ["saw", "liked", "found"], ["a ball", "mom"]
text = " ".join(f"{rng.choice(WHO)} {rng.choice(WHAT)} {rng.choice(WHERE)}." for _ in range(600))
chars = sorted(set(text))
ids = np.array([chars.index(c) for c in text])
vocab, width, length, batch = len(chars), 32, 32, 16
future = np.triu(np.full((length, length), -1e9, dtype=np.float32), 1)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).split(width, -1)
        scores = q @ k.transpose(-1, -2) / width**0.5 + future[: x.shape[1], : x.shape[1]]
        x = x + self.out(F.softmax(scores, -1) @ v)
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(vocab, width)
        self.places = nn.Embedding(length, width)
        self.blocks = nn.ModuleList([Block() for _ in range(2)])
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocab)

    def forward(self, x):
        h = self.tokens(x) + self.places(np.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


model = GPT()
optimizer = optim.Adam(model.parameters(), lr=args.lr)
for epoch in range(args.epochs):
    total = 0.0
    for step in range(100):
        starts = rng.integers(0, len(ids) - length - 1, batch)
        x = np.stack([ids[s : s + length] for s in starts])
        y = np.stack([ids[s + 1 : s + length + 1] for s in starts])
        logits = model(x)
        if args.cut:
            logits_2d = Tensor(logits.data.reshape(-1, vocab), requires_grad=True)
        else:
            logits_2d = logits.reshape(-1, vocab)
        loss = F.cross_entropy(logits_2d, y.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch}: loss {total / 100:.3f}")
