"""The check `graph`: does every parameter get its gradient, and where is the graph cut."""
