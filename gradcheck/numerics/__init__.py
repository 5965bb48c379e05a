"""The numerics of the gradient check; README.md beside this file has the idea and the map."""
