"""flaxmill: a reproducible pipeline of fine-tuning tasks in JAX and Flax."""

import os

from stages.core.import_guard import guard_imports
from stages.core.malloc import keep_freed_memory

# Of transformers only tokenizers and configurations are used; it need not advise to install torch.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
guard_imports()
keep_freed_memory()
