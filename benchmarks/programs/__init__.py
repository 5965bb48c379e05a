"""Correct programs that are unusual: a checker that calls one of them wrong is wrong itself."""
