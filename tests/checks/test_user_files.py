"""A user's own training file with one classical bug each: the finding, its line, the advice.

Run through pytest as a new user would, on the digits, with the text of the failure pinned.
"""

from __future__ import annotations

import pytest

from tests.support.user_text import in_order, net


def test_logits_rebuilt_from_data(user, golden) -> None:
    user.script(
        net("h = h.relu()")
        + """
        def step(model, batch, loss):
            logits = model(batch[0])
            logits_2d = Tensor(logits.data.reshape(-1, 10))
            return loss(logits_2d, batch[1])
        """.replace("\n        ", "\n"),
        models="net: Net",
        steps="mine: step",
    )
    golden(user.said("[graph]", step="mine"))


@pytest.mark.parametrize(
    "line",
    [
        "h = Tensor(np.exp(h.data))",
        "h = Tensor(np.array(h.data))",
        "h = Tensor(np.array(h.data) / 3 + 1)",
        "h = Tensor(np.tanh(h.numpy()))",
        "h = Tensor(h.tolist())",
        "h = Tensor([[v for v in row] for row in h.data.tolist()])",
        "h = Tensor(np.array(h.data.T.tolist()).T.copy())",
        "h = Tensor(np.einsum('bi,ij->bj', h.data, np.eye(16)))",
        "h = Tensor(h.data[:, ::-1].copy())",
        "h = h.detach().relu()",
    ],
)
def test_layer_rebuilt_by_numpy(user, golden, line: str) -> None:
    user.script(net(line), models="net: Net")
    golden(user.said("[graph]"))


def test_values_that_leave_on_one_line_and_come_back_on_another(user, golden) -> None:
    user.script(net("a = h.data * 2", "a = np.maximum(a, 0)", "h = Tensor(a)"), models="net: Net")
    golden(user.said("[graph]"))


def test_plain_array_beside_a_tensor(user, golden) -> None:
    line = "h = self.second.weight[0] * np.tanh(h.data)"
    user.script(net(line), models="net: Net")
    golden(user.said("[graph]"))


def test_heads_transposed_by_numpy(user, golden) -> None:
    line = "heads = Tensor(np.transpose(heads.data, (1, 0, 2)))"
    user.script(
        net("heads = h.reshape(len(x), 4, 4)", line, "h = heads.permute(1, 0, 2).reshape(-1, 16)"),
        models="net: Net",
    )
    golden(user.said("[graph]"))


def test_table_sliced_through_data(user, golden) -> None:
    body = net("h = h + Tensor(self.table.data[:1])").replace(
        "super().__init__()",
        "super().__init__()\n        self.table = nn.Parameter(np.full((4, 16), 0.1, np.float32))",
    )
    user.script(body, models="net: Net")
    golden(user.said("[graph]"))


def test_mean_rebuilt_from_a_float(user, golden) -> None:
    line = "h = h * 0.0 + Tensor(float(h.mean()))"
    user.script(net(line), models="net: Net")
    golden(user.said("[graph]"))


def test_part_of_the_gradient_lost_through_a_float(user, golden) -> None:
    line = "h = h - Tensor(float(np.mean(h.data)))"
    user.script(net(line), models="net: Net")
    golden(user.said("[graph]"))


def test_loss_averaged_from_items(user, golden) -> None:
    user.script(
        net("h = h.relu()")
        + """
def step(model, batch, loss):
    logits = model(batch[0])
    total = sum(loss(logits[i : i + 1], batch[1][i : i + 1]).item() for i in range(4))
    return Tensor(total / 4, requires_grad=True)
""",
        models="net: Net",
        steps="mine: step",
    )
    golden(user.said("[graph]", step="mine"))


def test_layer_in_a_plain_dict(user, golden) -> None:
    body = net("h = self.extra['a'](h).relu()").replace(
        "super().__init__()", "super().__init__()\n        self.extra = {'a': nn.Linear(16, 16)}"
    )
    user.script(body, models="net: Net")
    golden(user.said("[graph, updates]"))


def test_norm_that_does_not_train(user, golden) -> None:
    user.script(
        """
class Norm(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.scale = Tensor(np.ones(width, np.float32), requires_grad=False)
        self.shift = nn.Parameter(np.zeros(width, np.float32), requires_grad=False)

    def forward(self, x):
        x = (x - x.mean(-1, True)) / (x.var(-1, keepdim=True) + 1e-5).sqrt()
        return x * self.scale + self.shift
"""
        + net("h = self.norm(h)").replace(
            "super().__init__()", "super().__init__()\n        self.norm = Norm(16)"
        ),
        models="net: Net",
    )
    golden(user.said("[graph]"))


def test_no_grad_around_the_forward(user, golden) -> None:
    user.script(net("with no_grad():", "    h = h.relu()"), models="net: Net")
    golden(user.said("[graph]"))


def test_no_grad_left_on(user, golden) -> None:
    user.script(
        net("h = h.relu()")
        + """
def evaluate(model, x):
    guard = no_grad()
    guard.__enter__()
    return model(x)


def step(model, batch, loss):
    evaluate(model, batch[0])
    return loss(model(batch[0]), batch[1])
""",
        models="net: Net",
        steps="mine: step",
    )
    golden(user.said("[graph]", step="mine"))
    # What a case leaves on does not reach the next.
    user.script(net("h = h.relu()"), models="net: Net")
    assert "1 passed" in user.check("[graph]")


def test_no_grad_as_a_decorator(user, golden) -> None:
    body = net("h = self.act(h)") + (
        "\n    @no_grad()\n    def act(self, h):\n        return h.relu()\n"
    )
    user.script(body, models="net: Net")
    golden(user.said("[graph]"))


def test_rate_too_low(user) -> None:
    user.script(net("h = h.relu()"), models="net: Net")
    text = user.check("{overfit: {steps: 60, below: 0.1}}", optimizer="{name: adam, lr: 3.0e-4}")
    in_order(
        text,
        "after 60 steps on one batch the loss is",
        "not below 0.1; the learning rate 0.0003 is too low by about 30x",
        "last loss by learning rate (* the case's): ",
        "try lr: 0.009, which gets to",
    )


def test_rate_too_high(user) -> None:
    user.script(
        """
class Stiff(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 1)

    def forward(self, x):
        return self.layer(x.reshape(len(x), 64) * 10)
""",
        models="net: Stiff",
        losses="square: lambda out, y: ((out.reshape(-1) - y.float()) ** 2).mean()",
    )
    text = user.check(
        "{overfit: {steps: 60, fraction: 0.9}}", loss="square", optimizer="{name: sgd, lr: 0.01}"
    )
    in_order(text, "the learning rate 0.01 is too high: diverged at step", "try lr: ", "lower)")


def test_zero_grad_missing(user, golden) -> None:
    user.script(
        net("h = h.relu()")
        + """
def step(model, batch, loss):
    return loss(model(batch[0]), batch[1])


def train(model, batch, loss, optimizer):
    value = step(model, batch, loss)
    value.backward()
    optimizer.step()
    return value
""",
        models="net: Net",
        steps="mine: step, train=train",
    )
    # register.step('mine', step, train=train): above is the name, then the other arguments
    golden(user.said("[updates]", step="mine"))


def test_layer_that_the_optimizer_does_not_hold(user, golden) -> None:
    user.script(
        net("h = h.relu()")
        + """
def half(model, lr):
    return optim.Adam(model.second.parameters(), lr=lr)
""",
        models="net: Net",
        optimizers="half: half",
    )
    golden(user.said("[updates]", optimizer="{name: half, lr: 0.01}"))


def test_checks_all_says_which_do_not_apply_and_why(user) -> None:
    user.script(net("h = h.relu()"), models="net: Net")
    user.pytester.plugins = []
    text = user.check("all")
    assert user.outcomes.get("failed") is None, text
    assert user.outcomes["passed"] >= 9
    assert user.outcomes["skipped"] >= 2
