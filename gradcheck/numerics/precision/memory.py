"""What a kernel does to memory, as findings."""

from __future__ import annotations

from gradcheck.frameworks.protocol import GuardsMemory, MemoryFault
from gradcheck.probe.subject import Subject
from gradcheck.result import Finding

SAID = {
    "writes_input": (
        "writes into its input {leaf} in its {during}",
        "write the result into memory of its own; another op may have saved the input",
    ),
    "writes_cotangent": (
        "writes into the incoming gradient",
        "write into memory of its own: autograd hands the same gradient to other branches",
    ),
    "writes_outside": (
        "writes outside the memory of {leaf} in its {during}",
        "mask the store where the block reaches beyond the tensor",
    ),
    "reads_outside": (
        "reads memory outside its inputs: {what} changes with what lies beside them",
        "mask the load where the block reaches beyond the tensor",
    ),
    "reads_unwritten": (
        "uses memory that nobody wrote: {what} changes with what was there before",
        "start from zeros in place of empty, or write every entry",
    ),
    "reuses_output": (
        "writes its result into memory that it gave away: the next call changes it",
        "make a new tensor for each result",
    ),
    "depends_on_order": (
        "keeps something from the latest call: {what} changes when another call comes between "
        "forward and backward",
        "save what the backward needs with this call (ctx), not in a buffer of the function",
    ),
    "not_zero": (
        "gives {what} that is not zero for an incoming gradient of zero",
        "look for a term of the backward that is not multiplied by the incoming gradient",
    ),
}
"""By kind: what the kernel does, and what to try."""


def memory_findings(kernel: Subject, dtype: str) -> list[Finding]:
    """What `kernel`, an op, does in `dtype` that it should not; [] where nobody can tell."""
    framework = kernel.framework
    if not isinstance(framework, GuardsMemory):
        return []
    arrays = {n: framework.get(t) for n, t in kernel.operands.items()}
    trainable = {n: framework.trainable(t) for n, t in kernel.operands.items()}
    made = kernel.fresh(dtype=dtype)
    faults = framework.memory_faults(
        made.apply, arrays, trainable=trainable, dtype=dtype, seed=kernel.seed
    )
    return [_finding(kernel, dtype, fault) for fault in faults]


def _finding(kernel: Subject, dtype: str, fault: MemoryFault) -> Finding:
    said, advice = SAID[fault.kind]
    result = "the result" if fault.during == "forward" else "the incoming gradient"
    names = {
        "leaf": fault.leaf or result,
        "during": fault.during,
        "what": f"the gradient of {fault.leaf}" if fault.leaf else "the result",
    }
    return Finding(
        code=fault.kind,
        parameter=fault.leaf,
        op=kernel.name,
        where=kernel.declared.home if kernel.declared else None,
        message=f"{kernel.name} in {dtype} {said.format(**names)}",
        advice=advice,
        data={"dtype": dtype},
    )
