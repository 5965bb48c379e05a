"""Small models and real data sets: what a first case file is made of."""

from gradcheck import Register, hookimpl

gradcheck_api = 1


@hookimpl
def gradcheck_register(register: Register) -> None:
    from . import chars, data

    register.dataset("iris", data.Iris)
    register.dataset("digits", data.Digits)
    register.dataset("xor", data.Xor)
    register.dataset("char_sequences", chars.CharSequences)

    if register.lacks("tinytorch"):
        return  # the data sets serve every framework; what follows is made of its tensors
    from . import models, programs

    register.model("logistic", models.Logistic)
    register.model("mlp", models.MLP)
    register.model("cnn", models.CNN)
    register.model("char_lstm", models.CharLSTM)
    register.model("xor_net", models.XorNet)

    register.op("split_and_join", programs.split_and_join, inputs={"x": [2, 5]})
    register.op("every_second_reversed", programs.every_second_reversed, inputs={"x": [4, 5]})
