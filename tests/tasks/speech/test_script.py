"""The script of speech recognition, on tones for words."""

import json
import shutil

import numpy as np
import pytest
from support import scripts
from support.toy_speech import RATE, encoded, tone
from transformers import AutoTokenizer, GenerationConfig, WhisperFeatureExtractor

from stages.tasks.speech.examples import read_examples
from stages.tasks.speech.metric import WordErrors

SCRIPT = "run_flax_speech_recognition_seq2seq"

TRAINING = (
    "--from_scratch",
    "--do_train",
    "--overwrite_output_dir",
    "--per_device_train_batch_size=8",
    "--learning_rate=1e-2",
    "--logging_steps=1",
    "--length_buckets=1",
)


@pytest.fixture(scope="module")
def trained(beginning, clips, tmp_path_factory):
    """The folder of a run that learned the three words."""
    folder = tmp_path_factory.mktemp("runs") / "speech"
    scripts.call(
        SCRIPT,
        f"--model_name_or_path={beginning}",
        f"--train_file={clips}",
        f"--validation_file={clips}",
        f"--output_dir={folder}",
        "--do_eval",
        "--predict_with_generate",
        "--max_steps=120",
        "--warmup_steps=10",
        *TRAINING,
    )
    return folder


def test_it_learns_three_words(trained, clips):
    found = scripts.results(trained)
    assert set(found) == {
        f"eval_{name}"
        for name in ("loss", "wer", "cer", "wer_raw", "cer_raw", "samples", "refused_samples")
    }
    assert found["eval_wer"] < 0.2
    assert found["eval_samples"] == 16
    assert found["eval_refused_samples"] == 0
    assert scripts.results(trained, "train")["train_samples"] == 16
    rows = scripts.json_lines(trained / "eval_predictions.json")
    assert [row["path"] for row in rows] == [f"{number}.wav" for number in range(16)]
    texts = read_examples(clips).lower_case().texts
    assert [row["text"] for row in rows] == texts
    wrong = WordErrors("none").compute(
        predictions=[row["prediction"] for row in rows], references=texts
    )
    assert found["eval_wer"] == wrong["wer"]


def test_the_folder_holds_all_that_a_processor_needs(trained, beginning):
    assert AutoTokenizer.from_pretrained(trained).convert_ids_to_tokens(0) == "!"
    extractor = WhisperFeatureExtractor.from_pretrained(trained)
    assert (extractor.n_samples, extractor.hop_length, extractor.feature_size) == (RATE, 320, 16)
    for name in ("no_timestamps_token_id", "decoder_start_token_id", "is_multilingual"):
        first, last = (
            getattr(GenerationConfig.from_pretrained(folder), name)
            for folder in (beginning, trained)
        )
        assert first == last
        assert first is not None


def score(trained, clips, folder, *flags):
    scripts.call(
        SCRIPT, f"--model_name_or_path={trained}", f"--validation_file={clips}",
        f"--output_dir={folder}", "--do_eval", *flags,
    )  # fmt: skip
    return scripts.results(folder)


def test_evaluation_is_the_same_for_every_batch_size(trained, clips, tmp_path):
    expected = scripts.results(trained)
    flags = ("--per_device_eval_batch_size=5", "--predict_with_generate=false")
    loss = score(trained, clips, tmp_path / "a", *flags)
    assert set(loss) == {"eval_loss", "eval_samples", "eval_refused_samples"}
    assert loss["eval_loss"] == pytest.approx(expected["eval_loss"], rel=1e-5)
    assert not (tmp_path / "a" / "eval_predictions.json").exists()


def test_what_is_too_long_is_counted_and_named(trained, clips, tmp_path):
    folder = shutil.copytree(clips, tmp_path / "clips")
    (folder / "3.wav").write_bytes(encoded(tone(440, 1.25)))
    out = tmp_path / "out"
    said = scripts.call(
        SCRIPT, f"--model_name_or_path={trained}", f"--validation_file={folder}",
        f"--output_dir={out}", "--do_eval", "--predict_with_generate",
    )  # fmt: skip
    assert "metadata.jsonl, line 4 (3.wav): 1.25 s of audio, more than 1\n" in said
    found = scripts.results(out)
    assert (found["eval_samples"], found["eval_refused_samples"]) == (15, 1)
    rows = scripts.json_lines(out / "eval_predictions.json")
    assert rows[3]["prediction"] is None
    assert rows[3]["refused"] == "1.25 s of audio, more than 1"
    assert "refused" not in rows[4]


def test_prediction_without_transcripts(trained, clips, tmp_path):
    lines = [f"{clips}/{number}.wav" for number in range(3)]
    (tmp_path / "a.csv").write_text("\n".join(["audio", *lines]) + "\n")
    scripts.call(
        SCRIPT, f"--model_name_or_path={trained}", f"--test_file={tmp_path / 'a.csv'}",
        f"--output_dir={tmp_path / 'out'}", "--do_predict",
    )  # fmt: skip
    assert scripts.results(tmp_path / "out", "test") == {
        "test_refused_samples": 0,
        "test_samples": 3,
    }
    rows = scripts.json_lines(tmp_path / "out" / "predictions.json")
    assert [set(row) for row in rows] == [{"path", "prediction"}] * 3
    known = scripts.json_lines(trained / "eval_predictions.json")
    assert [row["prediction"] for row in rows] == [row["prediction"] for row in known[:3]]


def short_run(folder, clips, out, *flags):
    return scripts.call(
        SCRIPT, f"--model_name_or_path={folder}", f"--train_file={clips}", f"--output_dir={out}",
        "--max_steps=2", *TRAINING, *flags,
    )  # fmt: skip


def test_masks_are_for_training_alone_and_repeat(beginning, clips, tmp_path):
    short_run(beginning, clips, tmp_path / "plain")
    folder = shutil.copytree(beginning, tmp_path / "start")
    config = json.loads((folder / "config.json").read_text())
    keys = {"apply_spec_augment": True, "mask_time_prob": 0.3, "mask_time_length": 5}
    (folder / "config.json").write_text(json.dumps({**config, **keys}))
    runs = [tmp_path / name for name in ("a", "b")]
    for out in runs:
        short_run(folder, clips, out)
    weights = [(out / "model.safetensors").read_bytes() for out in (*runs, tmp_path / "plain")]
    assert weights[0] == weights[1]
    assert weights[0] != weights[2]


def test_what_training_leaves_out_is_counted(beginning, clips, tmp_path):
    said = short_run(beginning, clips, tmp_path / "out", "--max_duration_in_seconds=0.5")
    kept = sum(len(text.split()) < 3 for text in read_examples(clips).texts)
    assert f"{16 - kept} of 16 clips are left out of training, the first is " in said
    assert "0.60 s of audio, more than 0.5" in said
    assert scripts.results(tmp_path / "out", "train")["train_samples"] == kept


def test_a_multilingual_model(beginning, clips, tmp_path):
    folder = shutil.copytree(beginning, tmp_path / "start")
    generation = json.loads((folder / "generation_config.json").read_text())
    many = {"is_multilingual": True, "lang_to_id": {"<|de|>": 10}, "task_to_id": {"transcribe": 11}}
    (folder / "generation_config.json").write_text(json.dumps({**generation, **many}))
    out = tmp_path / "out"
    short_run(folder, clips, out, "--language=german", "--task=transcribe")
    saved = GenerationConfig.from_pretrained(out)
    assert (saved.language, saved.task) == ("german", "transcribe")
    # And so evaluation does not need the flags.
    assert score(out, clips, tmp_path / "eval")["eval_samples"] == 16
    line = scripts.refused(
        SCRIPT, f"--model_name_or_path={folder}", f"--train_file={clips}",
        f"--output_dir={tmp_path / 'none'}", "--max_steps=2", *TRAINING,
    )  # fmt: skip
    assert "the model is multilingual; name what is spoken" in line


def manifest(folder, *lines):
    (folder / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")


def change_file(name, **values):
    def change(clips, start):
        content = json.loads((start / name).read_text())
        (start / name).write_text(json.dumps({**content, **values}))

    return change


WRONG = {
    "silence": (lambda clips, start: (clips / "2.wav").write_bytes(encoded(np.zeros(RATE))), [],
                "metadata.jsonl, line 3 (2.wav): 1.00 s of silence"),
    "empty": (lambda clips, start: (clips / "2.wav").write_bytes(b""), [],
              "metadata.jsonl, line 3 (2.wav): the file is empty"),
    "cut off": (lambda clips, start: (clips / "2.wav").write_bytes(encoded(tone(440))[:2000]), [],
                "metadata.jsonl, line 3 (2.wav): the wav file is cut off or damaged"),
    "codec": (lambda clips, start: (clips / "2.wav").write_bytes(b"\0" * 999), [],
              "line 3 (2.wav): no audio (Format not recognised); give a whole wav, flac, ogg or"),
    "missing": (lambda clips, start: (clips / "2.wav").unlink(), [],
                "line 3 (2.wav): no such file"),
    "no text": (lambda clips, start: manifest(clips, {"file_name": "0.wav", "text": ""}), [],
                "line 1: 'text' is ''; expected a transcript"),
    "column": (lambda clips, start: None, ["--text_column_name=sentence"],
               "no column 'sentence' (--text_column_name)"),
    "all too long": (lambda clips, start: None, ["--max_duration_in_seconds=0.15"],
                     "s of audio, more than 0.15, and no other clip is within the limits"),
    "language": (lambda clips, start: None, ["--language=german"], "leave language out"),
    "frames": (change_file("preprocessor_config.json", chunk_length=2), [],
               "makes 100 frames of a clip (chunk_length 2 s, hop_length 320), but config.json "
               "takes 50"),
    "mels": (change_file("preprocessor_config.json", feature_size=20), [],
             "has feature_size 20, config.json num_mel_bins 16"),
    "dither": (change_file("preprocessor_config.json", dither=0.1), [], "set it to 0"),
    "kind": (change_file("preprocessor_config.json", feature_extractor_type="Other"), [],
             "is of a Other; expected a WhisperFeatureExtractor"),
    "no front end": (lambda clips, start: (start / "preprocessor_config.json").unlink(), [],
                     "its preprocessor_config.json cannot be read"),
    "too many tokens": (lambda clips, start: None,
                        ["--do_eval", "--predict_with_generate", "--generation_max_length=99"],
                        "lower max_new_tokens or max_length"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_refused(name, beginning, clips, tmp_path):
    change, flags, said = WRONG[name]
    clips = shutil.copytree(clips, tmp_path / "clips")
    start = shutil.copytree(beginning, tmp_path / "start")
    change(clips, start)
    out = tmp_path / "out"
    out.mkdir()
    (out / "model.safetensors").write_bytes(b"an earlier one")
    before = scripts.tree(out)
    line = scripts.refused(
        SCRIPT, f"--model_name_or_path={start}", f"--train_file={clips}",
        f"--validation_file={clips}", f"--output_dir={out}", "--max_steps=2", *TRAINING, *flags,
    )  # fmt: skip
    assert said in line
    assert scripts.tree(out) == before
