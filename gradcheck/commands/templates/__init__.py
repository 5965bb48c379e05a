"""The files that `new` writes, to start from: NAME stands for the name, CLASS for its class."""
