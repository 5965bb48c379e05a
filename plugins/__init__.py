"""First-party plugins of gradcheck, each exactly what an outside author could have written.

Installed as the package `gradcheck_plugins`; the entry points of group `gradcheck` name them.
"""
