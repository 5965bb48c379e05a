"""Variants of the inputs of an op."""
