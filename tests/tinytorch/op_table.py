"""All calls of all ops, see op_call."""

from tests.tinytorch import op_table_arrays, op_table_layers, op_table_maths
from tests.tinytorch.op_call import CALLS, Call

__all__ = ["CALLS", "Call", "op_table_arrays", "op_table_layers", "op_table_maths"]
