"""First-party plugins of gradcheck, each exactly what an outside author could have written.

Installed as the package `gradcheck.plugins`; entry points of the groups `gradcheck` and
`gradcheck.tinytorch` name them.
"""
