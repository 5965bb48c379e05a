"""Small models and real data sets: what a first case file is made of."""

from gradcheck import hookimpl
from gradcheck.names.hookspecs import Register

gradcheck_api = 1


@hookimpl
def gradcheck_models(register: Register) -> None:
    from . import models

    register("logistic", models.Logistic)
    register("mlp", models.MLP)
    register("cnn", models.CNN)
    register("char_lstm", models.CharLSTM)
    register("xor_net", models.XorNet)


@hookimpl
def gradcheck_datasets(register: Register) -> None:
    from . import chars, data

    register("iris", data.Iris)
    register("digits", data.Digits)
    register("xor", data.Xor)
    register("char_sequences", chars.CharSequences)


@hookimpl
def gradcheck_ops(register: Register) -> None:
    from . import programs

    register("split_and_join", programs.split_and_join, inputs={"x": [2, 5]})
    register("every_second_reversed", programs.every_second_reversed, inputs={"x": [4, 5]})
