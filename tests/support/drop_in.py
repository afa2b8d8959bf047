"""The commands of the reference, and what they can be run on: small models, a data set of clips."""

from collections.abc import Callable
from pathlib import Path

from transformers import CONFIG_MAPPING, GPT2Tokenizer, PreTrainedTokenizerFast

from stages import models
from stages.tasks.speech.convert import Source, convert
from stages.vocabularies.byte_pairs import train_byte_pairs
from stages.vocabularies.sentence_pieces import train_sentence_pieces
from support.sounds import make_start, write_folder
from support.tiny import TEXT

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


def make_starts(folder: Path, checkpoint: Callable[[str], Path]) -> Callable[[str], Path]:
    """`start(family)`: the folder of a model with random weights, the encoders' by `checkpoint`."""

    def write(family: str, head: str, tokenizer, **sizes) -> None:
        ids = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
        config = CONFIG_MAPPING[family](vocab_size=len(tokenizer), **ids, **sizes)
        models.save_pretrained(models.from_config(config, head, seed=3), folder / family)
        tokenizer.save_pretrained(folder / family)

    def whisper() -> None:
        config = models.load_config(make_start(folder / "whisper"))
        model = models.from_config(config, "speech_seq2seq", seed=3)
        models.save_pretrained(model, folder / "whisper")

    def gpt2() -> None:
        raw = train_byte_pairs(TEXT.splitlines(), 300, ["<|endoftext|>"])
        sizes = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 128}
        write("gpt2", "causal_lm", GPT2Tokenizer(tokenizer_object=raw), **sizes)

    def t5() -> None:
        sentinels = [f"<extra_id_{number}>" for number in range(20)]
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_object=train_sentence_pieces(TEXT.splitlines(), 160, sentinels),
            pad_token="<pad>",
            eos_token="</s>",
            unk_token="<unk>",
            additional_special_tokens=sentinels,
        )
        sizes = {"d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 1, "num_heads": 2}
        write("t5", "seq2seq_lm", tokenizer, **sizes)

    makers = {"whisper": whisper, "gpt2": gpt2, "t5": t5}

    def start(family: str) -> Path:
        if family not in makers:
            return checkpoint(family)
        if not (folder / family).is_dir():
            makers[family]()
        return folder / family

    return start


def make_clips(folder: Path) -> Path:
    """A data set of audio with a configuration and one split, as the hub has them."""
    write_folder(folder / "wav", ["low mid", "high", "mid low high", "low"] * 3)
    hub = folder / "hub"
    hub.mkdir()
    convert(str(folder / "wav"), hub / "validation.parquet", Source(source=str(folder)))
    (hub / "README.md").write_text(
        "---\nconfigs:\n- config_name: clean\n  data_files:\n  - split: validation\n"
        "    path: validation.parquet\n---\n"
    )
    return hub
