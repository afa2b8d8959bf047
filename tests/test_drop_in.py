"""The eight commands of the reference, as they stand: scripts imported with `stages/` on the path.

But for the model, which is a tiny one of the same family, and one length to compile in place of
four. The sample files are the reference's; where they are not, all but speech is skipped.
"""

import importlib
import sys
from pathlib import Path

import pytest
import tiny
from safetensors.numpy import load_file
from sounds import make_start, write_folder
from transformers import CONFIG_MAPPING, GPT2Tokenizer, PreTrainedTokenizerFast

from stages import models
from stages.sources.speech import Source, convert
from stages.vocabularies.byte_pairs import train_byte_pairs
from stages.vocabularies.sentence_pieces import train_sentence_pieces

STAGES = Path(__file__).parents[1] / "stages"
# Script, family of the model, flags; `F` is the folder of the sample files.
COMMANDS = {
    "glue": ("run_flax_glue", "distilbert",
             "--train_file F/MRPC/train.csv --validation_file F/MRPC/dev.csv "
             "--per_device_train_batch_size 2 --per_device_eval_batch_size 1 --learning_rate 1e-4 "
             "--eval_steps 2 --warmup_steps 2 --seed 42 --max_seq_length 128"),
    "clm": ("run_clm_flax", "gpt2",
            "--train_file F/sample_text.txt --validation_file F/sample_text.txt --do_train "
            "--do_eval --block_size 128 --per_device_train_batch_size 4 "
            "--per_device_eval_batch_size 4 --num_train_epochs 2 --logging_steps 2 --eval_steps 2 "
            "--overwrite_output_dir"),
    "summarization": ("run_summarization_flax", "t5",
                      "--train_file F/xsum/sample.json --validation_file F/xsum/sample.json "
                      "--test_file F/xsum/sample.json --overwrite_output_dir --num_train_epochs 3 "
                      "--warmup_steps 8 --do_train --do_eval --do_predict --learning_rate 2e-4 "
                      "--per_device_train_batch_size 2 --per_device_eval_batch_size 1 "
                      "--predict_with_generate"),
    "mlm": ("run_mlm_flax", "roberta",
            "--train_file F/sample_text.txt --validation_file F/sample_text.txt "
            "--overwrite_output_dir --max_seq_length 128 --per_device_train_batch_size 4 "
            "--per_device_eval_batch_size 4 --logging_steps 2 --eval_steps 2 --do_train --do_eval "
            "--num_train_epochs=1"),
    "t5_mlm": ("run_t5_mlm_flax", "t5",
               "--train_file F/sample_text.txt --validation_file F/sample_text.txt --do_train "
               "--do_eval --max_seq_length 128 --per_device_train_batch_size 4 "
               "--per_device_eval_batch_size 4 --num_train_epochs 2 --logging_steps 2 "
               "--eval_steps 2 --overwrite_output_dir"),
    "ner": ("run_flax_ner", "bert",
            "--train_file F/conll/sample.json --validation_file F/conll/sample.json "
            "--overwrite_output_dir --do_train --do_eval --warmup_steps 2 --learning_rate=2e-4 "
            "--logging_steps 2 --eval_steps 2 --per_device_train_batch_size 2 "
            "--per_device_eval_batch_size 2 --num_train_epochs 2 --seed 7"),
    "qa": ("run_qa", "bert",
           "--version_2_with_negative --train_file F/SQUAD/sample.json "
           "--validation_file F/SQUAD/sample.json --overwrite_output_dir --num_train_epochs 3 "
           "--warmup_steps 2 --do_train --do_eval --logging_steps 2 --eval_steps 2 "
           "--learning_rate 2e-4 --per_device_train_batch_size 2 --per_device_eval_batch_size 1"),
    "speech": ("run_flax_speech_recognition_seq2seq", "whisper",
               "--dataset_name D --dataset_config clean --train_split_name validation "
               "--eval_split_name validation --trust_remote_code --overwrite_output_dir "
               "--num_train_epochs 2 --max_train_samples 10 --max_eval_samples 10 "
               "--warmup_steps 8 --do_train --do_eval --learning_rate 2e-4 "
               "--per_device_train_batch_size 2 --per_device_eval_batch_size 1 "
               "--predict_with_generate"),
}  # fmt: skip
# What each command is judged by, and the values that it may have.
METRICS = {
    "glue": {"eval_accuracy": 1},
    "clm": {"eval_perplexity": 1e6},
    "summarization": {
        "test_rouge1": 100,
        "test_rouge2": 100,
        "test_rougeL": 100,
        "test_rougeLsum": 100,
    },
    "mlm": {"eval_perplexity": 1e6},
    "t5_mlm": {"eval_accuracy": 1},
    "ner": {"eval_accuracy": 1, "eval_f1": 1},
    "qa": {"eval_f1": 100, "eval_exact": 100},
    "speech": {"eval_wer": 100},
}


@pytest.fixture(scope="module")
def start(tmp_path_factory, checkpoint):
    """`start(family)`: the folder of a model with random weights."""
    folder = tmp_path_factory.mktemp("start")

    def write(family: str, head: str, tokenizer, **sizes) -> Path:
        ids = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
        config = CONFIG_MAPPING[family](vocab_size=len(tokenizer), **ids, **sizes)
        models.save_pretrained(models.from_config(config, head, seed=3), folder / family)
        tokenizer.save_pretrained(folder / family)
        return folder / family

    def make(family: str) -> Path:
        lines = tiny.TEXT.splitlines()
        if (folder / family).is_dir():
            return folder / family
        if family == "whisper":
            made = make_start(folder / family)
            config = models.load_config(made)
            models.save_pretrained(models.from_config(config, "speech_seq2seq", seed=3), made)
            return made
        if family == "gpt2":
            raw = train_byte_pairs(lines, 300, ["<|endoftext|>"])
            sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128}
            return write(family, "causal_lm", GPT2Tokenizer(tokenizer_object=raw), **sizes)
        if family == "t5":
            sentinels = [f"<extra_id_{number}>" for number in range(20)]
            tokenizer = PreTrainedTokenizerFast(
                tokenizer_object=train_sentence_pieces(lines, 160, sentinels),
                pad_token="<pad>",
                eos_token="</s>",
                unk_token="<unk>",
                additional_special_tokens=sentinels,
            )
            sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
            return write(family, "seq2seq_lm", tokenizer, **sizes)
        return checkpoint(family)

    return make


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A data set of audio with a configuration and one split, as the hub has them."""
    folder = tmp_path_factory.mktemp("clips")
    write_folder(folder / "wav", ["low mid", "high", "mid low high", "low"] * 3)
    (folder / "hub").mkdir()
    source = Source(source=str(folder))
    convert(str(folder / "wav"), folder / "hub" / "validation.parquet", source)
    (folder / "hub" / "README.md").write_text(
        "---\nconfigs:\n- config_name: clean\n  data_files:\n  - split: validation\n"
        "    path: validation.parquet\n---\n"
    )
    return folder / "hub"


@pytest.mark.parametrize("task", COMMANDS)
def test_a_command_of_the_reference(task, start, clips, tmp_path, monkeypatch, request):
    script, family, flags = COMMANDS[task]
    samples = clips if task == "speech" else request.getfixturevalue("samples")
    words = flags.replace("F/", f"{samples}/").replace("name D ", f"name {clips} ").split()
    folder, out = start(family), tmp_path / "out"
    monkeypatch.syspath_prepend(STAGES)
    monkeypatch.setattr(
        sys,
        "argv",
        [f"{script}.py", "--model_name_or_path", str(folder), f"--output_dir={out}", *words,
         "--length_buckets", "1"],
    )  # fmt: skip
    monkeypatch.delitem(sys.modules, script, raising=False)
    importlib.import_module(script).main()

    assert tiny.results(out, "train")["train_samples"] > 4
    found = tiny.results(out) | (tiny.results(out, "test") if "--do_predict" in words else {})
    for name, most in METRICS[task].items():
        assert 0 <= found[name] <= most
    before, after = (load_file(path / "model.safetensors") for path in (folder, out))
    same = [name for name in before.keys() & after.keys() if (before[name] == after[name]).all()]
    assert len(same) < len(before) / 2
    assert (out / "config.json").is_file()
    assert (out / "tokenizer.json").is_file()
