"""One backward pass through a graph that is kept, for given leaves."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def pull(
    outputs: Sequence[torch.Tensor],
    leaves: Sequence[torch.Tensor],
    cotangents: Sequence[torch.Tensor],
) -> list[torch.Tensor | None]:
    """The gradients of `leaves`, None for none; the graph is kept and no `grad` is touched.

    Checkpointed and reversible layers refuse `torch.autograd.grad`: their own backward calls
    `backward`, as training does, and so does this where they refuse.
    """
    try:
        return list(
            torch.autograd.grad(outputs, leaves, cotangents, retain_graph=True, allow_unused=True)
        )
    except RuntimeError as refused:
        touched = _leaves_behind(outputs)
        touched += [leaf for leaf in leaves if all(leaf is not t for t in touched)]
        before = [leaf.grad for leaf in touched]
        try:
            for leaf in touched:
                leaf.grad = None
            torch.autograd.backward(outputs, cotangents, retain_graph=True)
            return [leaf.grad for leaf in leaves]
        except RuntimeError:
            raise refused from None
        finally:
            for leaf, grad in zip(touched, before):
                leaf.grad = grad


def _leaves_behind(outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Every leaf that a backward from `outputs` would accumulate into, as far as the graph shows
    it: what a checkpointed layer holds is found when its own backward runs."""
    found: list[torch.Tensor] = []
    stack = [t.grad_fn for t in outputs if t.grad_fn is not None]
    seen = set(stack)
    while stack:
        node = stack.pop()
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, torch.Tensor):
            found.append(leaf)
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                stack.append(following)
    return found
