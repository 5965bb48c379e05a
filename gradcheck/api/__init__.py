"""The checks as functions, for a notebook or a script."""
