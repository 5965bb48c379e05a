"""DQN on a walk along a line, PyTorch. `--bug`: the chosen values are rebuilt from numbers."""

import random
import sys
from collections import deque

import torch
import torch.nn as nn
import torch.nn.functional as F

BUG = "--bug" in sys.argv


class Walk:
    def reset(self):
        self.x, self.t = 3, 0
        return self.state()

    def state(self):
        return [self.x / 6, self.t / 20]

    def step(self, action):
        self.x += 1 if action else -1
        self.t += 1
        done = self.x in (0, 6) or self.t == 20
        return self.state(), float(self.x == 6), done


class DQN(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer1 = nn.Linear(2, 32)
        self.layer2 = nn.Linear(32, 32)
        self.layer3 = nn.Linear(32, 2)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        return self.layer3(F.relu(self.layer2(x)))


random.seed(0)
torch.manual_seed(0)
policy_net, target_net = DQN(), DQN()
target_net.load_state_dict(policy_net.state_dict())
optimizer = torch.optim.AdamW(policy_net.parameters(), lr=1e-3)
memory = deque(maxlen=2000)
env, total = Walk(), 0


def select_action(state, eps):
    if random.random() < eps:
        return random.randrange(2)
    with torch.no_grad():
        return policy_net(torch.tensor(state)).argmax().item()


def optimize_model():
    if len(memory) < 64:
        return
    s, a, r, s2, done = zip(*random.sample(memory, 64))
    s, r, s2 = torch.tensor(s), torch.tensor(r), torch.tensor(s2)
    a, done = torch.tensor(a), torch.tensor(done).float()
    q = policy_net(s).gather(1, a[:, None]).squeeze(1)
    with torch.no_grad():
        expected = r + 0.95 * (1 - done) * target_net(s2).max(1).values
    if BUG:
        q = torch.tensor(q.tolist(), requires_grad=True)
    loss = F.smooth_l1_loss(q, expected)
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()


for episode in range(60):
    state, done = env.reset(), False
    while not done:
        action = select_action(state, max(0.1, 1 - episode / 40))
        following, reward, done = env.step(action)
        memory.append((state, action, reward, following, done))
        state = following
        optimize_model()
        total += reward
    if episode % 5 == 0:
        target_net.load_state_dict(policy_net.state_dict())
print("reward", total)
