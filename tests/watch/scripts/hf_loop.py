"""A Hugging Face form of loop, PyTorch. `--bug`: the feed-forward runs without grad."""

import sys
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

BUG = "--bug" in sys.argv


@dataclass
class Output:
    loss: torch.Tensor
    logits: torch.Tensor


class Layer(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.attention = nn.MultiheadAttention(width, 2, batch_first=True)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.intermediate = nn.Linear(width, 2 * width)
        self.output = nn.Linear(2 * width, width)

    def feed_forward(self, x):
        return self.output(nn.functional.gelu(self.intermediate(x)))

    def forward(self, x, padding):
        h = self.norm1(x + self.attention(x, x, x, key_padding_mask=padding)[0])
        if BUG:
            with torch.no_grad():
                f = self.feed_forward(h)
        else:
            f = self.feed_forward(h)
        return self.norm2(h + f)


class Classifier(nn.Module):
    def __init__(self, vocab=40, width=32, labels=2):
        super().__init__()
        self.embeddings = nn.Embedding(vocab, width, padding_idx=0)
        self.encoder = nn.ModuleList([Layer(width) for _ in range(2)])
        self.classifier = nn.Linear(width, labels)

    def forward(self, input_ids, attention_mask, labels=None):
        x = self.embeddings(input_ids)
        for layer in self.encoder:
            x = layer(x, attention_mask == 0)
        mask = attention_mask[..., None].float()
        logits = self.classifier((x * mask).sum(1) / mask.sum(1))
        loss = None
        if labels is not None:
            loss = nn.functional.cross_entropy(logits, labels)
        return Output(loss, logits)


class Reviews(Dataset):
    def __init__(self, count=600):
        g = torch.Generator().manual_seed(0)
        self.ids = torch.randint(1, 40, (count, 12), generator=g)
        self.labels = (self.ids[:, :6] < 20).sum(1).gt(3).long()
        lengths = torch.randint(6, 13, (count, 1), generator=g)
        self.mask = (torch.arange(12) < lengths).long()
        self.ids = self.ids * self.mask

    def __len__(self):
        return len(self.ids)

    def __getitem__(self, i):
        return {"input_ids": self.ids[i], "attention_mask": self.mask[i], "labels": self.labels[i]}


def main():
    torch.manual_seed(0)
    model = Classifier()
    train_dataloader = DataLoader(Reviews(), shuffle=True, batch_size=16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    num_epochs = 3
    total = num_epochs * len(train_dataloader)
    lr_scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total)
    device = torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")
    model.to(device)
    model.train()
    for epoch in range(num_epochs):
        for batch in train_dataloader:
            batch = {k: v.to(device) for k, v in batch.items()}
            outputs = model(**batch)
            loss = outputs.loss
            loss.backward()
            optimizer.step()
            lr_scheduler.step()
            optimizer.zero_grad()
        print(epoch, loss.item())


if __name__ == "__main__":
    main()
