"""How PyTorch names the parameters of a model."""

from dataclasses import dataclass, field

from stages.models.parameters import dotted


@dataclass(frozen=True)
class Names:
    """The keys of a model's PyTorch state dict.

    Attributes:
        modules: dotted NNX path of a module to its PyTorch name.
        prefix: starts every key except the head's; missing in folders of the bare model.
        aliases: key to other keys under which a folder may hold the tensor.
        copies: key to a second key to write.
        tied: key to the key whose tensor it repeats.
        not_transposed: suffixes of modules whose kernels PyTorch stores as [inputs, outputs] too.
        buffers: suffixes of keys that hold no weights.
    """

    modules: dict[str, str]
    prefix: str
    aliases: dict[str, tuple[str, ...]] = field(default_factory=dict)
    copies: dict[str, str] = field(default_factory=dict)
    tied: dict[str, str] = field(default_factory=dict)
    not_transposed: tuple[str, ...] = ()
    buffers: tuple[str, ...] = ("position_ids", "token_type_ids")

    def key(self, path: tuple) -> tuple[str, bool]:
        """Return the key of the parameter at an NNX path, and whether PyTorch transposes it."""
        leaf = {"kernel": "weight", "scale": "weight", "embedding": "weight"}.get(path[-1])
        module = dotted(path[:-1])
        transposed = path[-1] == "kernel" and not module.endswith(self.not_transposed)
        return f"{self.modules[module]}.{leaf or path[-1]}", transposed
