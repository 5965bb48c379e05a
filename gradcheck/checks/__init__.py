"""The checks, a folder for each family.

A check sees a Subject and its own options, and returns a Result.
"""
