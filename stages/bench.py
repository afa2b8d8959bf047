"""Throughput of a full training step, and the share of the machine's peak that it reaches.

    python -m stages.bench [--torch]

The step: a DistilBERT-base-sized classifier of two classes, 8 rows of 128 tokens, float32,
dropout 0.1, AdamW. Counted are 6 operations for each token and weight of the layers' matrix
products and 12 x layers x rows x length^2 x width for attention; embeddings are not. The peak is
the best of five products of two 2048 x 2048 float32 matrices in this process. The share of it is
that of the operations really done: our last layer computes the first token alone, which is all
that a classifier reads, and what it leaves out is not counted there.
"""

import argparse
import statistics
import time
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

ROWS, LENGTH = 8, 128
LAYERS, WIDTH, INNER = 6, 768, 3072
VOCABULARY = 30522
LEARNING_RATE = 5e-5


def step_operations() -> float:
    """Floating-point operations of one step, counted as the module says."""
    weights = LAYERS * (4 * WIDTH * WIDTH + 2 * WIDTH * INNER)
    return 6.0 * ROWS * LENGTH * weights + 12.0 * LAYERS * ROWS * LENGTH**2 * WIDTH


def operations_left_out() -> float:
    """What `step_operations` counts of the last layer and only PyTorch computes.

    Keys and values are needed of every token; queries, the attention's output and the feed-forward
    block of the first one.
    """
    weights = 2 * WIDTH * WIDTH + 2 * WIDTH * INNER
    others = 6.0 * ROWS * (LENGTH - 1) * weights
    return others + 12.0 * ROWS * LENGTH * (LENGTH - 1) * WIDTH


def example_batch() -> dict[str, np.ndarray]:
    """Random tokens and labels, no padding."""
    rng = np.random.default_rng(0)
    return {
        "input_ids": rng.integers(1000, VOCABULARY, (ROWS, LENGTH)).astype(np.int32),
        "attention_mask": np.ones((ROWS, LENGTH), np.int32),
        "labels": rng.integers(0, 2, ROWS).astype(np.int32),
    }


def jax_peak() -> float:
    """Operations a second of the best of five large matrix products."""
    size = 2048
    matrix = jnp.asarray(np.random.default_rng(0).standard_normal((size, size), np.float32))
    product = jax.jit(jnp.matmul)
    product(matrix, matrix).block_until_ready()
    best = min(_seconds(lambda: product(matrix, matrix).block_until_ready()) for _ in range(5))
    return 2.0 * size**3 / best


def _seconds(run) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


class FlaxStep:
    """Our own step, as `run_flax_glue` takes it."""

    name = "flaxmill"
    operations = step_operations() - operations_left_out()

    def __init__(self):
        from transformers import DistilBertConfig

        from stages import models
        from stages.run_flax_glue import class_loss
        from stages.training.optimizer import linear_schedule, make_optimizer
        from stages.training.step import init_state, make_train_step

        args = SimpleNamespace(
            adam_beta1=0.9, adam_beta2=0.999, adam_epsilon=1e-8, weight_decay=0.01, max_grad_norm=0
        )
        model = models.from_config(DistilBertConfig(num_labels=2), "sequence_classification")
        graphdef, params = nnx.split(model)
        optimizer = make_optimizer(args, linear_schedule(LEARNING_RATE, 0, 1000))
        self.step = make_train_step(graphdef, class_loss, optimizer, seed=0)
        self.state = init_state(params, optimizer)
        self.batch = jax.device_put(example_batch())

    def __call__(self) -> float:
        self.state, total, count = self.step(self.state, self.batch)
        return float(total) / float(count)


class TorchStep:
    """The same in PyTorch: transformers' class, SDPA, fused AdamW."""

    name = "PyTorch"
    operations = step_operations()

    def __init__(self):
        import torch
        from transformers import DistilBertConfig, DistilBertForSequenceClassification

        self.torch = torch
        torch.manual_seed(0)
        config = DistilBertConfig(num_labels=2, attn_implementation="sdpa")
        self.model = DistilBertForSequenceClassification(config).train()
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=LEARNING_RATE, weight_decay=0.01, fused=True
        )
        self.batch = {
            name: torch.from_numpy(array).long() for name, array in example_batch().items()
        }

    def __call__(self) -> float:
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model(**self.batch).loss
        loss.backward()
        self.optimizer.step()
        return loss.item()


def main() -> None:
    """Print operations a second of each, measured in turn so that both see the same machine."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--torch", action="store_true", help="PyTorch beside it")
    parser.add_argument("--rounds", type=int, default=15, help="steps of each")
    options = parser.parse_args()

    steps = [FlaxStep()]
    if options.torch:
        try:
            steps.append(TorchStep())
        except ImportError:
            raise SystemExit(
                "error: PyTorch is not installed; install the group `parity` (CONTRIBUTING.md)"
            ) from None
    peak = jax_peak()
    for step in steps:
        for _ in range(2):
            step()
    seconds: dict[str, list[float]] = {step.name: [] for step in steps}
    for _ in range(options.rounds):
        for step in steps:
            seconds[step.name].append(_seconds(step))
    peak = max(peak, jax_peak())
    print(f"peak of a 2048 x 2048 float32 product: {peak / 1e9:.0f} GFLOP/s")
    for step in steps:
        median = statistics.median(seconds[step.name])
        print(
            f"{step.name}: {median:.3f} s a step (best {min(seconds[step.name]):.3f}), "
            f"{step_operations() / median / 1e9:.0f} GFLOP/s by the count of a whole step, "
            f"{step.operations / median / 1e9:.0f} GFLOP/s done, "
            f"{step.operations / median / peak:.2f} of the peak, "
            f"{ROWS * LENGTH / median:.0f} tokens/s"
        )
    if options.torch:
        ratios = [a / b for a, b in zip(seconds["PyTorch"], seconds["flaxmill"], strict=True)]
        print(f"flaxmill over PyTorch, step by step: {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
