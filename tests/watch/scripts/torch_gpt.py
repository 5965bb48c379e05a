"""A character-level GPT on little stories, on PyTorch."""

import argparse

import torch
from torch import nn
from torch.nn import functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--lr", type=float, default=3e-4)
parser.add_argument("--cut", action="store_true", help="rebuild the logits as a new Tensor")
args = parser.parse_args()

torch.manual_seed(0)
WHO, WHAT, WHERE = ["Tim", "Lily", "a dog", "the cat"], ["saw", "liked", "found"], ["a ball", "mom"]
pick = lambda words: words[torch.randint(len(words), ()).item()]
text = " ".join(f"{pick(WHO)} {pick(WHAT)} {pick(WHERE)}." for _ in range(600))
chars = sorted(set(text))
ids = torch.tensor([chars.index(c) for c in text])
vocab, width, length, batch = len(chars), 32, 32, 16


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
        x = x + self.out(F.scaled_dot_product_attention(q, k, v, is_causal=True))
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
        h = self.tokens(x) + self.places(torch.arange(x.shape[1]))
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


def main():
    model = GPT()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        total = 0.0
        for step in range(100):
            starts = torch.randint(0, len(ids) - length - 1, (batch,))
            x = torch.stack([ids[s : s + length] for s in starts])
            y = torch.stack([ids[s + 1 : s + length + 1] for s in starts])
            logits = model(x)
            if args.cut:
                logits_2d = logits.detach().reshape(-1, vocab).requires_grad_()
            else:
                logits_2d = logits.reshape(-1, vocab)
            loss = F.cross_entropy(logits_2d, y.reshape(-1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / 100:.3f}")


if __name__ == "__main__":
    main()
