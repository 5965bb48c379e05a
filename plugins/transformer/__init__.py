"""Transformers: the attention op, its layers, GPT, an encoder and an encoder-decoder.

model: gpt
args: {vocab: 65, context: 64, layers: 4, heads: 4, width: 128}
data: {name: shakespeare, context: 64, batch: 12}
loss: sequence_cross_entropy
"""

from typing import Any

from gradcheck import hookimpl
from gradcheck.names.hookspecs import Register

gradcheck_api = 1


@hookimpl
def gradcheck_ops(register: Register) -> None:
    from .attention import attention
    from .packed import packed_attention
    from .rotary import rotary

    heads = {"query": [2, 3, 5, 4], "key": [2, 3, 5, 4], "value": [2, 3, 5, 4]}
    register("attention", attention, inputs=heads, args={"is_causal": True})
    register("packed_attention", packed_attention, inputs={"qkv": [2, 5, 24]}, args={"heads": 2})
    register(
        "rotary",
        rotary,
        inputs={"x": [2, 5, 6], "positions": {"values": [0, 1, 2, 3, 4], "dtype": "int"}},
    )


@hookimpl
def gradcheck_models(register: Register) -> None:
    from .encoder import EncoderClassifier
    from .encoder_decoder import EncoderDecoder
    from .gpt import GPT
    from .textbook import TextbookGPT

    register("gpt", GPT)
    register("textbook_gpt", TextbookGPT)
    register("gpt", gpt_in_torch, framework="pytorch")
    register("encoder_classifier", EncoderClassifier)
    register("encoder_decoder", EncoderDecoder)


def gpt_in_torch(*args: Any, **options: Any) -> Any:
    """torch is imported when the first case asks for it."""
    from .in_torch import GPT

    return GPT(*args, **options)


@hookimpl
def gradcheck_datasets(register: Register) -> None:
    from . import tasks

    register("copied_sequences", tasks.CopiedSequences)
    register("most_frequent_symbol", tasks.MostFrequentSymbol)


@hookimpl
def gradcheck_steps(register: Register) -> None:
    from . import postmortem, threads

    register("split_over_threads", threads.step, train=threads.train)
    register("rebuilds_tensor_from_data", postmortem.rebuilds_tensor_from_data)
    register("flattens_logits", postmortem.flattens_logits)


@hookimpl
def gradcheck_faults(register: Register) -> None:
    from . import faults

    faults.register_all(register)
