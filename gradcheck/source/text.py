"""The statement on a line of user code, and what it calls the tensors there."""

from __future__ import annotations

import ast
import functools
import linecache

from gradcheck.source.line import Line

LONGEST = 100
"""Characters of a statement that a finding quotes: more would wrap in most terminals."""
WAYS_OUT = ("data", "numpy", "detach", "item", "tolist", "_data")


@functools.lru_cache(maxsize=256)
def _tree(source: str) -> ast.Module | None:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError):
        return None


def statement(at: Line) -> ast.stmt | None:
    """The innermost statement that covers the line; for one with a body, only its head counts."""
    tree = _tree("".join(linecache.getlines(at.file)))
    best: ast.stmt | None = None
    for node in ast.walk(tree) if tree is not None else ():
        if not isinstance(node, ast.stmt):
            continue
        first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
        body = getattr(node, "body", None)
        last = body[0].lineno - 1 if body else (node.end_lineno or node.lineno)
        if first <= at.line <= max(last, first) and (best is None or node.lineno >= best.lineno):
            best = node
    return best


def text_of(at: Line) -> str:
    """The statement in one line, as it is written; the bare line where it cannot be parsed."""
    node = statement(at)
    if node is None or getattr(node, "body", None):
        text = at.code
    else:
        lines = linecache.getlines(at.file)[node.lineno - 1 : node.end_lineno]
        text = " ".join(part.strip() for part in lines)
    return text if len(text) <= LONGEST else text[: LONGEST - 4] + " ..."


def name_in(at: Line) -> str | None:
    """What the line calls the tensor whose values it takes: `logits` in `logits.data.reshape()`."""
    node = statement(at)
    parts = list(ast.walk(node)) if node is not None else []
    ways = [p for p in parts if isinstance(p, ast.Attribute) and p.attr in WAYS_OUT]
    for way in ways:  # of `h.data.tolist()` the innermost: `h`
        if not any(other in ways for other in ast.walk(way.value)):
            return ast.unparse(way.value)
    for part in parts:
        if isinstance(part, ast.Call) and ast.unparse(part.func) == "float" and part.args:
            return ast.unparse(part.args[0])
    return None


def target_of(at: Line) -> str | None:
    """The name that the statement on the line assigns to: `h` in `h = self.fc(x)`."""
    node = statement(at)
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
        return ast.unparse(target) if isinstance(target, (ast.Name, ast.Attribute)) else None
    return None


@functools.lru_cache(maxsize=1024)
def names_on(at: Line) -> frozenset[str]:
    """The tensors on a line whose values it takes out of the graph, or that it assigns to; of
    `self.target` also the last part."""
    node = statement(at)
    found: set[str] = set()
    for part in ast.walk(node) if node is not None else ():
        if isinstance(part, ast.Attribute) and part.attr in WAYS_OUT:
            found.add(ast.unparse(part.value))
        elif isinstance(part, ast.Call) and ast.unparse(part.func) == "float" and part.args:
            found.add(ast.unparse(part.args[0]))
        elif isinstance(part, (ast.Assign, ast.AnnAssign)):
            targets = part.targets if isinstance(part, ast.Assign) else [part.target]
            names = [n for t in targets for n in (t.elts if isinstance(t, ast.Tuple) else [t])]
            found |= {ast.unparse(n) for n in names if isinstance(n, (ast.Name, ast.Attribute))}
    return frozenset(
        found | {n.rpartition(".")[2] for n in found if n.replace(".", "").isidentifier()}
    )


@functools.lru_cache(maxsize=4096)
def lines_around(at: Line) -> frozenset[int]:
    """The lines that a person may name for this one: those of its statement, the heads of the
    `with` blocks around it, and the `def` and decorators of its function."""
    lines = {at.line}
    node = statement(at)
    if node is not None and not getattr(node, "body", None):
        lines |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    tree = _tree("".join(linecache.getlines(at.file)))
    innermost: ast.FunctionDef | ast.AsyncFunctionDef | None = None
    for other in ast.walk(tree) if tree is not None else ():
        if not isinstance(other, (ast.With, ast.FunctionDef, ast.AsyncFunctionDef)):
            continue
        if not other.lineno <= at.line <= (other.end_lineno or other.lineno):
            continue
        if isinstance(other, ast.With):
            lines |= set(range(other.lineno, other.body[0].lineno))
        elif innermost is None or other.lineno > innermost.lineno:
            innermost = other
    if innermost is not None:
        first = min([innermost.lineno, *(d.lineno for d in innermost.decorator_list)])
        lines |= set(range(first, innermost.body[0].lineno))
    return frozenset(lines)
