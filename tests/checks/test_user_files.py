"""A user's own training file with one classical bug each: the finding, its line, the advice.

Run through pytest as a new user would, on the digits, with the text of the failure pinned.
"""

from __future__ import annotations

import pytest

from tests.support.user_text import UPSTREAM, in_order, net


def test_logits_rebuilt_from_data(user) -> None:
    user.write(
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
    text = user.run("[graph]", step="mine")
    in_order(
        text,
        "cases/mine.yaml:3  mine::graph  FAILED",
        "  4 of 4 parameters get no gradient from the loss",
        f"the graph is cut at {user.place('logits_2d =')}   "
        "logits_2d = Tensor(logits.data.reshape(-1, 10))",
        f"`logits` was made at {user.place('return self.second')} by linear; upstream of the cut: "
        "first.weight, first.bias, second.weight, second.bias",
        "  use a Tensor operation instead: logits.reshape(-1, 10)",
        're-run: pytest --gradcheck "cases/mine.yaml::mine::graph" --gradcheck-seed 0',
    )
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        ("h = Tensor(np.exp(h.data))", "use a Tensor operation instead: h.exp()"),
        ("h = Tensor(np.array(h.data))", "use a Tensor operation instead: h"),
        ("h = Tensor(np.array(h.data) / 3 + 1)", "use a Tensor operation instead: h / 3 + 1"),
        ("h = Tensor(np.tanh(h.numpy()))", "use a Tensor operation instead: h.tanh()"),
        ("h = Tensor(h.tolist())", "use a Tensor operation instead: h"),
        ("h = Tensor([[v for v in row] for row in h.data.tolist()])", "use Tensor operations on"),
        (
            "h = Tensor(np.array(h.data.T.tolist()).T.copy())",
            "use a Tensor operation instead: h.T.T",
        ),
        ("h = Tensor(np.einsum('bi,ij->bj', h.data, np.eye(16)))", "use a Tensor operation"),
        ("h = Tensor(h.data[:, ::-1].copy())", "use a Tensor operation instead: h[:, ::-1]"),
        ("h = h.detach().relu()", "leave out .detach() so that `h` stays in the graph"),
    ],
)
def test_layer_rebuilt_by_numpy(user, line: str, advice: str) -> None:
    user.write(net(line), models="net: Net")
    in_order(
        user.run("[graph]"),
        "2 of 4 parameters get no gradient from the loss",
        f"the graph is cut at {user.place(line)}   {line}",
        f"`h` was made at {user.place('h = self.first')} by linear; "
        f"upstream of the cut: {UPSTREAM}",
        advice,
    )


def test_values_that_leave_on_one_line_and_come_back_on_another(user) -> None:
    user.write(net("a = h.data * 2", "a = np.maximum(a, 0)", "h = Tensor(a)"), models="net: Net")
    in_order(
        user.run("[graph]"),
        f"the graph is cut at {user.place('h = Tensor(a)')}   h = Tensor(a)",
        f"its values left the graph at {user.place('a = h.data * 2')}",
        f"`h` was made at {user.place('h = self.first')} by linear",
        "use Tensor operations on `h` instead of numpy on its array",
    )


def test_plain_array_beside_a_tensor(user) -> None:
    line = "h = self.second.weight[0] * np.tanh(h.data)"
    user.write(net(line), models="net: Net")
    in_order(
        user.run("[graph]"),
        "2 of 4 parameters get no gradient from the loss",
        f"the graph is cut at {user.place(line)}",
        f"upstream of the cut: {UPSTREAM}",
    )


def test_heads_transposed_by_numpy(user) -> None:
    line = "heads = Tensor(np.transpose(heads.data, (1, 0, 2)))"
    user.write(
        net("heads = h.reshape(len(x), 4, 4)", line, "h = heads.permute(1, 0, 2).reshape(-1, 16)"),
        models="net: Net",
    )
    in_order(
        user.run("[graph]"),
        f"the graph is cut at {user.place(line)}   {line}",
        f"`heads` was made at {user.place('heads = h.reshape')} by reshape",
        "use a Tensor operation instead: heads.permute((1, 0, 2))",
    )


def test_table_sliced_through_data(user) -> None:
    body = net("h = h + Tensor(self.table.data[:1])").replace(
        "super().__init__()",
        "super().__init__()\n        self.table = nn.Parameter(np.full((4, 16), 0.1, np.float32))",
    )
    user.write(body, models="net: Net")
    in_order(
        user.run("[graph]"),
        "1 of 5 parameters get no gradient from the loss",
        f"the graph is cut at {user.place('h = h + Tensor')}   h = h + Tensor(self.table.data[:1])",
        f"`self.table` was made at {user.place('self.table =')}; upstream of the cut: table",
        "use a Tensor operation instead: self.table[:1]",
    )


def test_mean_rebuilt_from_a_float(user) -> None:
    line = "h = h * 0.0 + Tensor(float(h.mean()))"
    user.write(net(line), models="net: Net")
    in_order(
        user.run("[graph]"),
        "2 of 4 parameters get no gradient from the loss",
        f"the graph is cut at {user.place(line)}   {line}",
        "a Python number has no gradient; keep the Tensor: h.mean()",
    )


def test_part_of_the_gradient_lost_through_a_float(user) -> None:
    line = "h = h - Tensor(float(np.mean(h.data)))"
    user.write(net(line), models="net: Net")
    in_order(
        user.run("[graph]"),
        "2 of 4 parameters get only a part of their gradient from the loss",
        f"the graph is cut at {user.place(line)}",
        "along a random direction of them the gradient says",
        "keep the Tensor: h.mean()",
    )


def test_loss_averaged_from_items(user) -> None:
    user.write(
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
    in_order(
        user.run("[graph]", step="mine"),
        "4 of 4 parameters get no gradient from the loss",
        f"the graph is cut at {user.place('return Tensor(total')}",
        f"its values left the graph at {user.place('total = sum')}",
        "a Python number has no gradient; keep the Tensor",
    )


def test_layer_in_a_plain_dict(user) -> None:
    body = net("h = self.extra['a'](h).relu()").replace(
        "super().__init__()", "super().__init__()\n        self.extra = {'a': nn.Linear(16, 16)}"
    )
    user.write(body, models="net: Net")
    in_order(
        user.run("[graph, updates]"),
        "2 parameters of the model are missing from its parameters(): extra.a.weight, extra.a.bias",
        f"extra.a.weight was made at {user.place('self.extra =')}",
        "keep layers as attributes, or in a ModuleList or Sequential",
        "the optimizer does not hold 2 of 6 trainable parameters: extra.a.weight, extra.a.bias",
    )


def test_norm_that_does_not_train(user) -> None:
    user.write(
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
    in_order(
        user.run("[graph]"),
        "requires_grad is off on 2 registered parameters that the loss depends on: "
        "norm.scale, norm.shift",
        f"norm.scale was made at {user.place('self.scale = Tensor')}",
        "make it with requires_grad=True (or as a Parameter)",
    )


def test_no_grad_around_the_forward(user) -> None:
    user.write(net("with no_grad():", "    h = h.relu()"), models="net: Net")
    in_order(
        user.run("[graph]"),
        f"the graph is cut at {user.place('with no_grad')}   with no_grad():",
        f"first operation without a graph: relu at {user.place('h = h.relu')}",
        "run the forward of the loss outside no_grad",
    )


def test_no_grad_left_on(user) -> None:
    user.write(
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
    in_order(
        user.run("[graph]", step="mine"),
        "4 of 4 parameters get no gradient from the loss",
        f"the graph is cut at {user.place('guard.__enter__')}   guard.__enter__()",
        "keep no_grad for evaluation only",
    )
    # What a case leaves on does not reach the next.
    user.write(net("h = h.relu()"), models="net: Net")
    assert "1 passed" in user.run("[graph]")


def test_no_grad_as_a_decorator(user) -> None:
    body = net("h = self.act(h)") + (
        "\n    @no_grad()\n    def act(self, h):\n        return h.relu()\n"
    )
    user.write(body, models="net: Net")
    in_order(user.run("[graph]"), f"the graph is cut at {user.place('@no_grad()')}", "relu")


def test_rate_too_low(user) -> None:
    user.write(net("h = h.relu()"), models="net: Net")
    text = user.run("{overfit: {steps: 60, below: 0.1}}", optimizer="{name: adam, lr: 3.0e-4}")
    in_order(
        text,
        "after 60 steps on one batch the loss is",
        "not below 0.1; the learning rate 0.0003 is too low by about 30x",
        "last loss by learning rate (* the case's): ",
        "try lr: 0.009, which gets below 0.1 from the same start",
    )


def test_rate_too_high(user) -> None:
    user.write(
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
    text = user.run(
        "{overfit: {steps: 60, fraction: 0.9}}", loss="square", optimizer="{name: sgd, lr: 0.01}"
    )
    in_order(text, "the learning rate 0.01 is too high: diverged at step", "try lr: ", "lower)")


def test_zero_grad_missing(user) -> None:
    user.write(
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
    in_order(
        user.run("[updates]", step="mine"),
        "the second step from the same state and the same batch has twice the gradient of the "
        "first: gradients of earlier steps are still there",
        "norm of the gradient of",
        "call optimizer.zero_grad() before every backward()",
    )


def test_layer_that_the_optimizer_does_not_hold(user) -> None:
    user.write(
        net("h = h.relu()")
        + """
def half(model, lr):
    return optim.Adam(model.second.parameters(), lr=lr)
""",
        models="net: Net",
        optimizers="half: half",
    )
    in_order(
        user.run("[updates]", optimizer="{name: half, lr: 0.01}"),
        "the optimizer does not hold 2 of 4 trainable parameters: first.weight, first.bias",
        "give it all of model.parameters()",
    )


def test_checks_all_says_which_do_not_apply_and_why(user) -> None:
    user.write(net("h = h.relu()"), models="net: Net")
    user.pytester.plugins = []
    text = user.run("all")
    assert user.outcomes.get("failed") is None, text
    assert user.outcomes["passed"] >= 9
    assert user.outcomes["skipped"] >= 2
