import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class AC(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(4, 32)
        self.pi = nn.Linear(32, 2)
        self.v = nn.Linear(32, 1)

    def forward(self, s):
        h = torch.relu(self.body(s))
        return torch.distributions.Categorical(logits=self.pi(h)), self.v(h).squeeze(-1)


net = AC()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for ep in range(150):
    s = torch.randn(64, 4)
    dist, v = net(s)
    a = dist.sample()
    r = (a == (s[:, 0] > 0).long()).float()
    adv = (r - v).detach()
    loss = -(dist.log_prob(a) * adv).mean() + 0.5 * F.mse_loss(v, r) - 0.01 * dist.entropy().mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 0.5)
    opt.step()
