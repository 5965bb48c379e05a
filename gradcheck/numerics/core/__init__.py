"""When is a number wrong: stencils, rounding, the verdict. Knows arrays only; a test says so."""
