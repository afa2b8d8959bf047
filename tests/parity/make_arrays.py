"""Write `tests/arrays`: tiny models and the logits PyTorch computes from them.

    cd tests && python -m parity.make_arrays

Needs torch. One folder a family: `config.json`; `model.safetensors`, one encoder in float16 and
the heads of all four kinds beside it; `expected.npz`, a batch and its logits in float32. Weights
come from seeds; running this again with the same versions gives the same files.
"""

import numpy as np
import torch
import transformers
from parity.random_models import HEADS, batch, config, torch_logits, torch_model
from safetensors.torch import save_file
from support.paths import ARRAYS


def main() -> None:
    for model_type in ("bert", "roberta", "distilbert"):
        folder = ARRAYS / model_type
        folder.mkdir(parents=True, exist_ok=True)
        weights = {}
        for seed, head in enumerate(HEADS):
            model = torch_model(config(model_type, head), head, seed)
            for key, value in model.half().state_dict().items():
                weights.setdefault(key, value)
        tied = ("decoder.weight", "decoder.bias", "vocab_projector.weight")
        weights = {k: v.contiguous() for k, v in weights.items() if not k.endswith(tied)}
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        settings = config(model_type, "masked_lm")
        (folder / "model.safetensors").chmod(0o644)
        (folder / "config.json").write_text(settings.to_json_string())

        values = batch(settings)
        logits = {}
        for head, auto in HEADS.items():
            model = getattr(transformers, auto).from_pretrained(
                folder, config=config(model_type, head), dtype=torch.float32
            )
            for number, part in enumerate(torch_logits(model.eval(), values)):
                logits[f"{head}.{number}"] = part
        np.savez_compressed(folder / "expected.npz", **values, **logits)


if __name__ == "__main__":
    main()
