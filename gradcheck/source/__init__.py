"""Lines of source: where something is defined, what a line says, how a place is shown."""
