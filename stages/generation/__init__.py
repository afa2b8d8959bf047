"""Generation: the tokens a model writes, greedily or by beam search.

One implementation serves GPT-2, T5 and Whisper, on the protocol of
`stages/models/decoding/cache.py`:

- `options.py`: what is asked for, out of `generation_config.json` and the caller's overrides,
- `prompt.py`: Whisper's first tokens, of language and task,
- `scores.py`: the rules that change scores before a token is chosen,
- `greedy.py`, `beam.py`: the two searches,
- `step.py`: the compiled step, and all rows of a data set.

The tokens are those of transformers' PyTorch `generate` under the same options (`tests/parity`
compares them), but for these: padding in a prompt is never a token to penalise or an n-gram to
avoid, so that a row's text does not depend on how far its batch is padded; and one sequence a row
is returned, in evaluation mode, without sampling.
"""

from stages.generation.options import GenerationOptions
from stages.generation.step import (
    decode_batch,
    generate_rows,
    generate_text,
    make_generate_step,
)

__all__ = [
    "GenerationOptions",
    "decode_batch",
    "generate_rows",
    "generate_text",
    "make_generate_step",
]
