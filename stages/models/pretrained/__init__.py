"""Hugging Face folders in and out: configuration, safetensors weights, PyTorch's names.

Only safetensors are read, and no code from a folder runs. What a user can correct raises an
`InputError` of one line that names the folder or file.
"""

from stages.models.pretrained.config import read_config
from stages.models.pretrained.folder import local_folder
from stages.models.pretrained.names import Names
from stages.models.pretrained.reading import load, load_generation_config
from stages.models.pretrained.writing import save

__all__ = ["Names", "load", "load_generation_config", "local_folder", "read_config", "save"]
