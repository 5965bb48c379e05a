"""Is it true: programs by others, where every alarm must be deserved."""
