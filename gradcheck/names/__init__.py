"""Names to things: the hooks, the plugins that are loaded, and the registry they fill."""
