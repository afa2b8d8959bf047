"""Generation of tokens by greedy or beam search.

One implementation serves GPT-2, T5 and Whisper, on the protocol of
`stages/models/decoding/cache.py`:

- `options.py`: the options, from `generation_config.json` and the caller's overrides,
- `prompt.py`: Whisper's first tokens, for language and task,
- `scores.py`: the logits processors, which change scores before a token is chosen,
- `greedy.py`, `beam.py`: the two searches,
- `step.py`: the compiled step, and its application to a data set.

The tokens are those of transformers' PyTorch `generate` with the same options (`tests/parity`
compares them), with two exceptions. Padding in a prompt is never penalised nor part of an n-gram,
so that a row's text does not depend on the padded length of its batch. And one sequence per row is
returned, in evaluation mode, without sampling.
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
