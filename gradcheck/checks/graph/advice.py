"""The line of a cut, rewritten with Tensor operations."""

from __future__ import annotations

import ast

from gradcheck.frameworks.protocol import Cut

CONSTRUCTORS = ("Tensor", "tensor", "Parameter", "as_tensor", "from_numpy", "asarray", "array")
COPIES = ("array", "asarray", "copy", "ascontiguousarray", "float32", "float64")
METHODS = {
    name: name
    for name in (
        "exp", "log", "log1p", "sqrt", "tanh", "sin", "cos", "abs", "reshape", "mean", "sum", "var",
        "max", "min", "clip", "squeeze", "cumsum", "matmul", "maximum", "minimum", "split",
    )
}  # fmt: skip
METHODS |= {"absolute": "abs", "power": "pow", "transpose": "permute", "expand_dims": "unsqueeze"}
LEAVING = ("numpy", "detach", "item", "tolist")
KEYWORDS = {"axis": "dim", "keepdims": "keepdim"}
FUNCTIONS = {"concatenate": "cat", "stack": "stack", "where": "where", "einsum": "einsum"}


def advice(cut: Cut) -> str:
    """One sentence: what to write instead."""
    name = f"`{cut.name}`" if cut.name else "the tensor"
    if cut.kind == "detach":
        return (
            f"leave out .detach() so that {name} stays in the graph; if the cut is intended, name "
            "it under `allow:` of this check, and under `stop:` of `gradient`"
        )
    if cut.kind == "no_grad":
        return "run the forward of the loss outside no_grad; keep no_grad for evaluation only"
    instead = rewrite(cut.text)
    if cut.kind == "item":
        return "a Python number has no gradient; keep the Tensor" + (
            f": {instead}" if instead else f" {name} instead of float() or .item()"
        )
    if instead:
        return f"use a Tensor operation instead: {instead}"
    return f"use Tensor operations on {name} instead of numpy on its array"


def rewrite(text: str) -> str | None:
    """`Tensor(np.exp(x.data))` -> `x.exp()`; None where the line shows no such expression."""
    try:
        tree = ast.parse(text)
    except SyntaxError:
        return None
    first = tree.body[0] if tree.body else None
    if isinstance(first, ast.Assign) and isinstance(first.targets[0], ast.Attribute):
        target = first.targets[0]
        if target.attr == "data":  # h.data = np.tanh(h.data)
            inner = _Rewriter()
            result = inner.visit(first.value)
            if not inner.found or _leaves_numpy(result):
                return None
            return f"{ast.unparse(target.value)} = {ast.unparse(result)}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _last(node.func) in CONSTRUCTORS and node.args:
            inner = _Rewriter()
            result = inner.visit(node.args[0])
            loops = (ast.ListComp, ast.GeneratorExp)
            if (
                inner.found
                and not any(isinstance(n, loops) for n in ast.walk(result))
                and not _leaves_numpy(result)
            ):
                return ast.unparse(result)
    return None


def kept(text: str) -> str | None:
    """`h = x.detach().reshape(-1)` -> `x.reshape(-1)`: the expression of a line without its ways
    out of the graph; None where it has none."""
    try:
        first = ast.parse(text).body[0]
    except (SyntaxError, IndexError):
        return None
    value = getattr(first, "value", None)
    if not isinstance(value, ast.expr):
        return None
    inner = _Rewriter()
    result = inner.visit(value)
    while isinstance(result, ast.Call) and _last(result.func) == "requires_grad_":
        assert isinstance(result.func, ast.Attribute)
        result = result.func.value
    return ast.unparse(result) if inner.found else None


def _leaves_numpy(result: ast.AST) -> bool:
    """Whether a function of numpy is left that is given a variable: the Tensor has no operation of
    its own for it."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and _numpy(node.func.value)
        and any(isinstance(n, ast.Name) and not _numpy(n) for a in node.args for n in ast.walk(a))
        for node in ast.walk(result)
    )


def _last(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")


class _Rewriter(ast.NodeTransformer):
    """Leaves the ways out of the graph out. `found` says whether there was one."""

    found = False

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr in ("data", "_data"):
            self.found = True
            return self.visit(node.value)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        func = node.func
        if isinstance(func, ast.Name) and func.id == "float" and node.args:
            self.found = True
            return self.visit(node.args[0])
        if not isinstance(func, ast.Attribute):
            return self.generic_visit(node)
        return self._of_numpy(node, func) if _numpy(func.value) else self._method(node, func)

    def _method(self, node: ast.Call, func: ast.Attribute) -> ast.AST:
        """`x.detach()` -> `x`; a method that a Tensor has stays."""
        if func.attr in LEAVING or func.attr in ("astype", "copy"):
            self.found = self.found or func.attr in LEAVING
            return self.visit(func.value)
        changed = self.generic_visit(node)
        if func.attr == "transpose" and len(node.args) > 2:
            func.attr = "permute"
        return changed

    def _of_numpy(self, node: ast.Call, func: ast.Attribute) -> ast.AST:
        """`np.exp(x)` -> `x.exp()`, `np.concatenate(xs)` -> `cat(xs)`, `np.array(x)` -> `x`."""
        if func.attr in COPIES and node.args:
            return self.visit(node.args[0])
        changed = self.generic_visit(node)
        if func.attr in FUNCTIONS:
            node.func = ast.Name(FUNCTIONS[func.attr], ast.Load())
        if func.attr not in METHODS or not node.args:
            return changed
        first, *rest = node.args
        method = METHODS[func.attr]
        if method == "permute" and not rest and not node.keywords:
            return ast.Attribute(first, "T", ast.Load())
        for keyword in node.keywords:
            keyword.arg = KEYWORDS.get(keyword.arg or "", keyword.arg)
        return ast.Call(ast.Attribute(first, method, ast.Load()), rest, node.keywords)


def _numpy(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("np", "numpy")
