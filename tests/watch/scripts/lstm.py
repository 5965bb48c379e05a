"""A character LSTM, PyTorch. `--bug`: the targets are shifted twice."""

import sys

import torch
from torch import nn, optim

BUG = "--bug" in sys.argv
text = "the quick brown fox jumps over the lazy dog. pack my box with five dozen jugs. " * 40
chars = sorted(set(text))
encoded = torch.tensor([chars.index(c) for c in text])


class CharLSTM(nn.Module):
    def __init__(self, vocab, hidden=64):
        super().__init__()
        self.embed = nn.Embedding(vocab, 32)
        self.lstm = nn.LSTM(32, hidden, batch_first=True)
        self.fc = nn.Linear(hidden, vocab)

    def forward(self, x, state=None):
        out, state = self.lstm(self.embed(x), state)
        return self.fc(out), state


def batches(length=24, size=16):
    while True:
        starts = torch.randint(0, len(encoded) - length - 3, (size,))
        shift = 2 if BUG else 1
        x = torch.stack([encoded[s : s + length] for s in starts])
        y = torch.stack([encoded[s + shift : s + length + shift] for s in starts])
        yield x, y


if __name__ == "__main__":
    torch.manual_seed(1)
    net = CharLSTM(len(chars))
    opt = optim.Adam(net.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss()
    for step, (x, y) in enumerate(batches()):
        out, _ = net(x)
        loss = criterion(out.transpose(1, 2), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        if step % 50 == 0:
            print(step, loss.item())
        if step == 300:
            break
