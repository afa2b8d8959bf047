"""flaxmill: a reproducible pipeline of fine-tuning tasks in JAX and Flax."""

import os

# Of transformers only tokenizers and configurations are used; it need not advise to install torch.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
