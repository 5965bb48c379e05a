import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
teacher = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 5))
teacher.eval()
student = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 5))
opt = torch.optim.AdamW(student.parameters(), lr=5e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=1e-2, total_steps=200)
ema = {k: v.clone() for k, v in student.state_dict().items()}
for i in range(200):
    x = torch.randn(64, 10)
    with torch.no_grad():
        t = teacher(x)
    loss = F.kl_div(F.log_softmax(student(x), -1), F.softmax(t, -1), reduction="batchmean")
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    with torch.no_grad():
        for k, v in student.state_dict().items():
            ema[k].mul_(0.99).add_(0.01 * v)
