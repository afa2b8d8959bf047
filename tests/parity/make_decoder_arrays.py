"""Write `tests/arrays` of the generative families: tiny models, and PyTorch's logits.

    cd tests && python -m parity.make_decoder_arrays

Needs torch. One folder a kind: `config.json` and `generation_config.json`; `model.safetensors`,
in float16; `expected.npz`, a batch and its logits in float32, and of T5 the buckets of its usual
relative positions. Weights come from seeds; running this again with the same versions gives the
same files.
"""

import numpy as np
import torch
import transformers
from parity.random_decoders import HEADS, batch, config, torch_logits, torch_model
from parity.random_models import GENERATING
from support.paths import ARRAYS
from transformers.models.t5.modeling_t5 import T5Attention


def main() -> None:
    for seed, (kind, head) in enumerate(HEADS.items()):
        folder = ARRAYS / kind
        torch_model(config(kind), kind, seed).half().save_pretrained(folder)
        (folder / "model.safetensors").chmod(0o644)
        auto = getattr(transformers, GENERATING[head])
        model = auto.from_pretrained(folder, dtype=torch.float32).eval()
        values = batch(kind)
        arrays = {**values, "logits": torch_logits(model, values)}
        if kind == "t5":
            apart = torch.arange(-200, 201)
            for name, both_ways in (("encoder_buckets", True), ("decoder_buckets", False)):
                table = T5Attention._relative_position_bucket(apart, bidirectional=both_ways)
                arrays[name] = table.numpy().astype(np.int32)
        np.savez_compressed(folder / "expected.npz", **arrays)


if __name__ == "__main__":
    main()
