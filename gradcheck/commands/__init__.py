"""The commands of `python -m gradcheck`: one module each, imported when it is asked for."""

COMMANDS = {
    "watch": "run a training script as it is and say what is wrong with it",
    "run": "run cases of a file, without pytest",
    "probe": "build a model of yours, find inputs for it, check its graph and gradients",
    "train": "train the model of a case, after its checks",
    "new": "write a plugin and its case, to start from",
    "plugins": "list the plugins: where each comes from, what it brings, what failed",
    "checks": "list the checks and their options",
    "faults": "plant the registered faults, say which check catches which",
    "schema": "print the JSON Schema of case files, for editors",
}
"""Name of the module -> its line in the listing."""


class Mistake(Exception):
    """A user's mistake: place, cause and next step in one sentence."""
