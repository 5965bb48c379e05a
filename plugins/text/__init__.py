"""Text to train on: Shakespeare, TinyStories, generated stories; characters or byte pairs as ids.

    data: {name: shakespeare, context: 64, batch: 12}
    data: {name: stories, context: 64, tokenizer: bpe, vocab_size: 512}

`python -m gradcheck.plugins.text` lists the files that are known and fetches them.
"""

from gradcheck import Register, hookimpl

gradcheck_api = 1


@hookimpl
def gradcheck_register(register: Register) -> None:
    from . import datasets

    register.dataset("shakespeare", datasets.shakespeare)
    register.dataset("tinystories", datasets.tinystories)
    register.dataset("stories", datasets.stories)
    register.dataset("text_file", datasets.text_file)
