"""Throughput of a full training step, and the share of the machine's peak that it reaches.

    python -m stages.tools.bench [--torch] [--generate]

The step: a DistilBERT-base-sized classifier of two classes, 8 rows of 128 tokens, float32,
dropout 0.1, AdamW. It counts 6 operations for each token and weight of the layers' matrix products
and 12 x layers x rows x length^2 x width for attention, none for embeddings. The peak is the best
of five products of two 2048 x 2048 float32 matrices in this process. The share of the peak counts
only the operations done: our last layer computes only the first token, which is all that the
classifier reads.

With `--generate`: greedy generation by a model of T5-small's size with random weights, 8 rows of
128 tokens, 64 new tokens in each (no row may end earlier), float32. The first run, which compiles,
is reported separately. With `--torch` both have the same weights, and the tokens are compared.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from stages.training.devices import use_cublas

ROWS, LENGTH = 8, 128
LAYERS, WIDTH, INNER = 6, 768, 3072
VOCABULARY = 30522
LEARNING_RATE = 5e-5
NEW_TOKENS, T5_VOCABULARY = 64, 32128


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


def _seconds(run: Callable) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


class FlaxStep:
    """Our own step, as in `run_flax_glue`."""

    name = "flaxmill"
    operations = step_operations() - operations_left_out()

    def __init__(self):
        from transformers import DistilBertConfig

        from stages import models
        from stages.tasks.glue.loss import class_loss
        from stages.training.optimizer import make_optimizer, make_schedule
        from stages.training.step import TrainStep

        model = models.from_config(DistilBertConfig(num_labels=2), "sequence_classification")
        graphdef, params = nnx.split(model)
        schedule = make_schedule("linear", LEARNING_RATE, 0, 1000)
        optimizer = make_optimizer(schedule, weight_decay=0.01, max_grad_norm=0)
        self.step = TrainStep(graphdef, class_loss, optimizer, seed=0)
        self.state = self.step.init(params)
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


def t5_config():
    """A configuration of T5-small's size."""
    from transformers import T5Config

    return T5Config(
        vocab_size=T5_VOCABULARY,
        d_model=512,
        d_kv=64,
        d_ff=2048,
        num_layers=6,
        num_heads=8,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )


def example_source() -> dict[str, np.ndarray]:
    """Random tokens for an encoder, no padding."""
    ids = np.random.default_rng(0).integers(2, T5_VOCABULARY, (ROWS, LENGTH)).astype(np.int32)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids)}


class FlaxGeneration:
    """Our own greedy search, as in `run_summarization_flax`."""

    name = "flaxmill"

    def __init__(self):
        from stages import models
        from stages.generation import GenerationOptions, make_generate_step

        self.model = models.from_config(t5_config(), "seq2seq_lm")
        options = GenerationOptions.from_model(
            self.model, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, num_beams=1
        )
        self.step = make_generate_step(self.model, options)
        self.params = nnx.state(self.model)
        self.batch = jax.device_put(example_source())

    def __call__(self) -> np.ndarray:
        return np.asarray(self.step(self.params, self.batch)["sequences"])


class TorchGeneration:
    """The same in PyTorch: transformers' class and its `generate`, with the weights of `model`."""

    name = "PyTorch"

    def __init__(self, model: nnx.Module):
        import torch
        from transformers import T5ForConditionalGeneration

        from stages import models

        with tempfile.TemporaryDirectory() as folder:
            models.save_pretrained(model, folder)
            self.model = T5ForConditionalGeneration.from_pretrained(folder).eval()
        self.batch = {
            name: torch.from_numpy(array).long() for name, array in example_source().items()
        }

    def __call__(self) -> np.ndarray:
        rows = self.model.generate(
            **self.batch,
            max_new_tokens=NEW_TOKENS,
            min_new_tokens=NEW_TOKENS,
            num_beams=1,
            do_sample=False,
        )
        return rows[:, 1:].numpy()


def in_turn(steps: Sequence, rounds: int) -> dict[str, list[float]]:
    """Seconds of each step, `rounds` times, one after the other: all see the same machine."""
    seconds: dict[str, list[float]] = {step.name: [] for step in steps}
    for _ in range(rounds):
        for step in steps:
            seconds[step.name].append(_seconds(step))
    return seconds


def print_ratio(seconds: dict[str, list[float]]) -> None:
    """Print how much faster ours is, if PyTorch was measured."""
    if "PyTorch" in seconds:
        ratios = [a / b for a, b in zip(seconds["PyTorch"], seconds["flaxmill"], strict=True)]
        print(f"flaxmill over PyTorch, turn by turn: {statistics.median(ratios):.2f}")


def bench_training(rounds: int, torch: bool) -> None:
    """Print operations a second of a training step."""
    steps = [FlaxStep(), TorchStep()] if torch else [FlaxStep()]
    peak = jax_peak()
    for step in steps:
        for _ in range(2):
            step()
    seconds = in_turn(steps, rounds)
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
    print_ratio(seconds)


def bench_generation(rounds: int, torch: bool) -> None:
    """Print new tokens a second of greedy generation."""
    steps = [FlaxGeneration()]
    if torch:
        steps.append(TorchGeneration(steps[0].model))
    first = {step.name: _seconds(step) for step in steps}
    tokens = [step() for step in steps]
    seconds = in_turn(steps, rounds)
    for step in steps:
        median = statistics.median(seconds[step.name])
        print(
            f"{step.name}: {median:.3f} s for {NEW_TOKENS} tokens in {ROWS} rows "
            f"(best {min(seconds[step.name]):.3f}), {ROWS * NEW_TOKENS / median:.0f} tokens/s; "
            f"the first time {first[step.name]:.1f} s"
        )
    print_ratio(seconds)
    if torch:
        same = (tokens[0] == tokens[1]).all(axis=1).sum()
        print(f"rows with the same tokens: {same} of {ROWS}")


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--torch", action="store_true", help="run PyTorch too")
    parser.add_argument("--generate", action="store_true", help="greedy generation instead")
    parser.add_argument("--rounds", type=int, default=15, help="turns of each")
    options = parser.parse_args()
    use_cublas()
    bench = bench_generation if options.generate else bench_training
    try:
        bench(options.rounds, options.torch)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise SystemExit(
            "error: PyTorch is not installed; install the group `parity` (CONTRIBUTING.md)"
        ) from None


if __name__ == "__main__":
    main()
