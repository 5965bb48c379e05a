"""Text to train on: Shakespeare, TinyStories, generated stories; characters or byte pairs as ids.

    data: {name: shakespeare, context: 64, batch: 12}
    data: {name: stories, context: 64, tokenizer: bpe, vocab_size: 512}

`python -m gradcheck.plugins.text` lists the files that are known and fetches them.
"""

from gradcheck import hookimpl
from gradcheck.names.hookspecs import Register

gradcheck_api = 1


@hookimpl
def gradcheck_datasets(register: Register) -> None:
    from . import datasets

    register("shakespeare", datasets.shakespeare)
    register("tinystories", datasets.tinystories)
    register("stories", datasets.stories)
    register("text_file", datasets.text_file)
