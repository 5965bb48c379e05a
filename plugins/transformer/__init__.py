"""Transformers: the attention op, its layers, GPT, an encoder and an encoder-decoder.

model: gpt
args: {vocab: 65, context: 64, layers: 4, heads: 4, width: 128}
data: {name: shakespeare, context: 64, batch: 12}
loss: sequence_cross_entropy
"""

from typing import Any

from gradcheck import Register, hookimpl

gradcheck_api = 1


@hookimpl
def gradcheck_register(register: Register) -> None:
    from . import tasks

    register.dataset("copied_sequences", tasks.CopiedSequences)
    register.dataset("most_frequent_symbol", tasks.MostFrequentSymbol)
    register.model("gpt", gpt_in_torch, framework="pytorch")

    if register.lacks("tinytorch"):
        return  # what follows is made of its tensors
    from . import faults, postmortem, threads
    from .attention import attention
    from .encoder import EncoderClassifier
    from .encoder_decoder import EncoderDecoder
    from .gpt import GPT
    from .packed import packed_attention
    from .rotary import rotary
    from .textbook import TextbookGPT

    heads = {"query": [2, 3, 5, 4], "key": [2, 3, 5, 4], "value": [2, 3, 5, 4]}
    register.op("attention", attention, inputs=heads, args={"is_causal": True})
    register.op("packed_attention", packed_attention, inputs={"qkv": [2, 5, 24]}, args={"heads": 2})
    register.op(
        "rotary",
        rotary,
        inputs={"x": [2, 5, 6], "positions": {"values": [0, 1, 2, 3, 4], "dtype": "int"}},
    )

    register.model("gpt", GPT)
    register.model("textbook_gpt", TextbookGPT)
    register.model("encoder_classifier", EncoderClassifier)
    register.model("encoder_decoder", EncoderDecoder)

    register.step("split_over_threads", threads.step, train=threads.train)
    register.step("rebuilds_tensor_from_data", postmortem.rebuilds_tensor_from_data)
    register.step("flattens_logits", postmortem.flattens_logits)

    faults.register_all(register)


def gpt_in_torch(*args: Any, **options: Any) -> Any:
    """torch is imported when the first case asks for it."""
    from .in_torch import GPT

    return GPT(*args, **options)
