"""argparse, a log, checkpoints, PyTorch. `--bug`: the samples come sorted by class."""

import argparse
import csv
import json
import logging
import os
from pathlib import Path

import torch
from sklearn.datasets import load_iris
from torch import nn

parser = argparse.ArgumentParser(description="train an iris classifier")
parser.add_argument("--output", type=Path, default=Path("runs/iris"))
parser.add_argument("--epochs", type=int, default=30)
parser.add_argument("--lr", type=float, default=0.02)
parser.add_argument("--batch-size", type=int, default=10)
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--bug", action="store_true")


def main(args):
    os.makedirs(args.output, exist_ok=True)
    (args.output / "config.json").write_text(json.dumps({"lr": args.lr, "epochs": args.epochs}))
    logging.basicConfig(filename=args.output / "train.log", level=logging.INFO)
    torch.manual_seed(args.seed)
    iris = load_iris()
    x = torch.tensor(iris.data, dtype=torch.float32)
    x = (x - x.mean(0)) / x.std(0)
    y = torch.tensor(iris.target)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    start, checkpoint = 0, args.output / "last.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        start = saved["epoch"] + 1
    with open(args.output / "losses.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["epoch", "loss"])
        for epoch in range(start, args.epochs):
            order = torch.arange(len(x)) if args.bug else torch.randperm(len(x))
            total = 0.0
            for rows in order.split(args.batch_size):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
                loss.backward()
                optimizer.step()
                total += loss.item()
                if total > 0:
                    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                    torch.save({**state, "epoch": epoch}, args.output / "tmp.pt")
                    os.replace(args.output / "tmp.pt", checkpoint)
            writer.writerow([epoch, total])
            logging.info("epoch %d loss %.4f", epoch, total)


if __name__ == "__main__":
    main(parser.parse_args())
