"""What a training comes to: of rows, of packed ones, of a stream; and what does not fit them."""

import json

import numpy as np
import pytest

from stages.core.arguments import parse
from stages.core.errors import InputError
from stages.data.batching import Batches
from stages.data.packing import PackedBatches
from stages.tasks.glue.arguments import GlueArguments
from stages.training.plan import plan_training, write_plan

LEAST = ("--model_name_or_path=m", "--output_dir=o", "--do_train", "--train_file=t")


def arguments(*flags):
    return parse(GlueArguments, "", [*LEAST, *flags])


def batches(kind=Batches, rows=20, batch_size=4):
    columns = {"input_ids": [np.arange(3 + row % 4) for row in range(rows)]}
    return kind(columns, padding={}, batch_size=batch_size, buckets=1)


def test_rows_and_steps():
    plan = plan_training(arguments("--warmup_steps=2"), batches(), ["a", "b"])
    assert plan == {
        "rows": 20, "rows_per_step": 4, "steps": 15, "steps_per_pass": 5, "warmup_steps": 2,
        "evaluations": 3, "lengths": [8], "labels": ["a", "b"],
    }  # fmt: skip
    plan = plan_training(arguments("--gradient_accumulation_steps=2", "--eval_steps=2"), batches())
    assert (plan["rows_per_step"], plan["steps"], plan["evaluations"]) == (8, 9, 5)
    assert plan_training(arguments("--max_steps=7"), batches())["steps"] == 7


def test_packed_rows_are_counted_before_they_are_packed():
    packed = batches(PackedBatches)
    plan = plan_training(arguments("--num_train_epochs=1"), packed)
    assert plan["rows"] == 20
    assert plan["rows_per_step"] == packed.batch_size < 4
    assert plan["steps"] == plan["steps_per_pass"] == len(packed)


def test_a_stream_has_steps_alone(tmp_path, capsys):
    plan = plan_training(arguments("--streaming", "--max_steps=9"), batches())
    assert (plan["rows"], plan["steps"], plan["steps_per_pass"]) == (None, 9, None)
    write_plan(str(tmp_path / "plan.json"), plan)
    assert json.loads((tmp_path / "plan.json").read_text()) == plan
    assert capsys.readouterr().out == (
        "plan: a stream of rows, 9 steps of 4 rows; warm-up 0; lengths 8\n"
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--per_device_train_batch_size=21"],
         "--per_device_train_batch_size is 21, but there are 20 rows to train on"),
        (["--warmup_steps=15"], "--warmup_steps is 15, but the training has 15 steps (20 rows, 5 "
                                "steps a pass, --num_train_epochs 3); give less than that"),
        (["--eval_steps=16"], "--eval_steps is 16, but the training has 15 steps"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_rows(flags, said):
    with pytest.raises(InputError) as caught:
        plan_training(arguments(*flags), batches())
    assert said in str(caught.value)


def test_the_default_batch_is_no_mistake_on_a_few_rows():
    assert plan_training(arguments(), batches(rows=3, batch_size=8))["steps"] == 3
