"""The numerics of the gradient check: each file has one subject and knows arrays only.

Read in this order: `differences` (stencils), `noise` (what rounding can fake), `verdict` (when a
number is called wrong), `sparsity` and `local` (one op), `replay` and `directions` (the whole
forward), `bisect`, `kinks`, `laws`, `diagnose`, `variants`, `certificate`.
"""
