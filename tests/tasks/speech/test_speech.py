"""Speech recognition: word errors, labels, masks, limits; and the script on tones for words."""

import json
import math
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from support import scripts
from support.toy_models import make_whisper
from support.toy_speech import RATE, encoded, tone, write_folder
from transformers import AutoTokenizer, GenerationConfig, WhisperConfig, WhisperFeatureExtractor

from stages import models
from stages.core.arguments import parse
from stages.core.errors import InputError
from stages.data.batching import IGNORE_INDEX, Batch
from stages.tasks.speech.arguments import SpeechArguments
from stages.tasks.speech.augment import SpecAugment
from stages.tasks.speech.baseline import measure
from stages.tasks.speech.convert import Source, convert
from stages.tasks.speech.examples import read_examples
from stages.tasks.speech.features import Features
from stages.tasks.speech.metric import WordErrors
from stages.tasks.speech.rows import encode_labels, select_rows

# Word errors


@pytest.mark.parametrize(
    ("predictions", "references", "wer", "cer"),
    [
        # The same.
        (["a b c"], ["a b c"], 0, 0),
        # One substitution of three words; one of five characters.
        (["a x c"], ["a b c"], 1 / 3, 1 / 5),
        # A deletion: of the characters, `b` and a space.
        (["a c"], ["a b c"], 1 / 3, 2 / 5),
        # Insertions count, and may take the rate above 1.
        (["a b c d e"], ["a b"], 3 / 2, 6 / 3),
        # Nothing said.
        (["", "a"], ["a b c", "a"], 3 / 4, 5 / 6),
        # Totals over totals, not the mean of rates: (0 + 2) / (4 + 2), not 1/2.
        (["a b c d", "x y"], ["a b c d", "e f"], 2 / 6, 2 / 10),
    ],
)
def test_word_errors_by_hand(predictions, references, wer, cer):
    for name in ("basic", "english", "none"):
        found = WordErrors(name).compute(predictions=predictions, references=references)
        expected = {"wer": wer, "cer": cer, "wer_raw": wer, "cer_raw": cer}
        assert found == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "wer"),
    [
        # Only `seven` and `7` differ then.
        ("basic", 1 / 4),
        ("english", 0),
        # Train, | leaves, | at | seven.
        ("none", 3 / 4),
    ],
)
def test_normalisation(name, wer):
    found = WordErrors(name).compute(
        predictions=["train leaves at 7"], references=["Train leaves, at seven"]
    )
    assert found["wer"] == wer
    assert found["wer_raw"] == 3 / 4
    assert WordErrors(name).info.config_name == name


def test_spelling():
    texts = {"predictions": ["my favourite"], "references": ["my favorite"]}
    assert WordErrors("english").compute(**texts)["wer"] == 1 / 2
    assert WordErrors("english", {"favourite": "favorite"}).compute(**texts)["wer"] == 0


def test_references_that_hold_nothing():
    found = WordErrors("basic").compute(predictions=["a", ""], references=["...", "?"])
    assert math.isnan(found["wer"])
    assert found["wer_raw"] == 1
    # Among others they count what was inserted.
    found = WordErrors("basic").compute(predictions=["a", "b"], references=["...", "b"])
    assert found["wer"] == 1


# Masks


def masked(step=0, seed=1, frames=100, **keys):
    names = ("prob", "length", "min_masks")
    config = SimpleNamespace(
        **{f"mask_{kind}_{name}": 0 for kind in ("time", "feature") for name in names}
    )
    vars(config).update(keys)
    features = np.ones((4, 20, 100), np.float32)
    arrays = {"input_features": features, "frames": np.full(4, frames, np.int32)}
    SpecAugment(config, seed)(Batch(np.arange(4), arrays), step)
    return features


TIME = {"mask_time_prob": 0.2, "mask_time_length": 10, "mask_time_min_masks": 2}
BANDS = {"mask_feature_prob": 0.25, "mask_feature_length": 5, "mask_feature_min_masks": 0}


def test_masks_over_time():
    for row in masked(**TIME):
        # Whole frames, all bands; two masks of ten frames that may overlap.
        silent = (row == 0).all(axis=0)
        assert ((row == 0).any(axis=0) == silent).all()
        assert 10 <= silent.sum() <= 20


def test_masks_over_bands():
    for row in masked(**BANDS):
        silent = (row == 0).all(axis=1)
        assert ((row == 0).any(axis=1) == silent).all()
        assert 5 <= silent.sum() <= 10


def test_masks_stay_within_the_clip():
    for row in masked(frames=30, **TIME):
        assert (row[:, 30:] == 1).all()
        assert (row[:, :30] == 0).any()
    assert (masked(frames=8, **TIME) == 1).all()


def test_masks_cover_their_share():
    # 100 steps of 4 rows: 1.5 masks of 10 frames on average, hardly ever overlapping much.
    shares = [(masked(step, mask_time_prob=0.15, mask_time_length=10) == 0).mean()
              for step in range(100)]  # fmt: skip
    assert np.mean(shares) == pytest.approx(0.145, abs=0.01)


def test_masks_depend_on_seed_and_step():
    assert (masked(3, **TIME) == masked(3, **TIME)).all()
    assert (masked(3, **TIME) != masked(4, **TIME)).any()
    assert (masked(3, **TIME) != masked(3, seed=2, **TIME)).any()
    assert (masked(3) == 1).all()


# Arguments


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min_duration_in_seconds=20"],
         "--min_duration_in_seconds 20 must be below --max_duration_in_seconds 20"),
        (["--num_beams=2"], "--num_beams needs --predict_with_generate or --do_predict"),
        (["--generation_max_length=9"], "--generation_max_length needs --predict_with_generate"),
        (["--task=sing"], "--task is 'sing'; expected one of transcribe, translate"),
        (["--normalisation=french"], "--normalisation is 'french'; expected one of basic, english"),
        (["--max_duration_in_seconds=0"], "expected a number, > 0"),
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense(words, said):
    common = ["--do_eval", "--model_name_or_path=m", "--validation_file=f", "--output_dir=o"]
    with pytest.raises(InputError) as caught:
        parse(SpeechArguments, "", [*common, *words])
    assert said in str(caught.value)


def test_defaults_are_the_references():
    args = parse(SpeechArguments, "", ["--do_eval", "--model_name_or_path=m",
                                       "--validation_file=f", "--output_dir=o"])  # fmt: skip
    assert args.max_duration_in_seconds == 20
    assert args.max_label_length == 128
    assert args.do_lower_case is True


# Baseline


def test_baseline(tmp_path):
    words = {"train": ["low", "mid", "high", "low"], "test": ["low", "mid", "mid"]}
    data = tmp_path / "data"
    data.mkdir()
    for split, texts in words.items():
        folder = write_folder(tmp_path / split, texts)
        convert(str(folder), data / f"{split}.parquet", Source(source=str(tmp_path)))
    found = measure(str(data))
    assert found["most_frequent"]["wer"] == 2 / 3
    assert found["nearest"]["wer"] == 0


# Labels and limits


@pytest.fixture(scope="module")
def beginning(tmp_path_factory):
    """The folder of a new model: one layer, three words, a second of sound."""
    return make_whisper(tmp_path_factory.mktemp("start") / "model")


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A folder with 16 clips of one to three words."""
    rng = np.random.default_rng(0)
    words = ["Low", "mid", "high"]
    texts = [" ".join(rng.choice(words, rng.integers(1, 4))) for _ in range(16)]
    return write_folder(tmp_path_factory.mktemp("clips") / "all", texts)


def test_labels_are_prompt_text_and_end(beginning):
    tokenizer = AutoTokenizer.from_pretrained(beginning)
    ids = tokenizer.convert_tokens_to_ids
    start, low, mid = ids("<|startoftranscript|>"), ids("\u0120low"), ids("\u0120mid")
    found = encode_labels(tokenizer, ["low mid", "mid"], (start, 7, 8))
    assert [row.tolist() for row in found] == [
        [7, 8, low, mid, ids("<|endoftext|>")],
        [7, 8, mid, ids("<|endoftext|>")],
    ]
    with pytest.raises(InputError, match="the model is multilingual; name what is spoken"):
        encode_labels(tokenizer, ["low"], (start, None, 8))


def limited(clips, seconds, labels=None, **limits):
    examples = read_examples(clips).first(len(seconds))
    arrays = np.zeros((len(seconds), 2, 100), np.float32)
    limits = {"shortest": 0.0, "longest": 20.0, "heard": 4.0, "most_tokens": 5, **limits}
    return select_rows(examples, Features(arrays, np.array(seconds)), labels, **limits)


def test_rows_within_the_limits(clips):
    labels = [np.arange(length) for length in (3, 3, 6, 5, 3)]
    rows = limited(clips, [1.0, 4.5, 2.0, 4.0, 0.2], labels, shortest=0.5)
    assert rows.kept == [0, 3]
    assert rows.refused == {
        1: "4.50 s of audio, more than 4",
        2: "a transcript of 6 tokens, more than 5",
        4: "0.20 s of audio, less than 0.5",
    }
    assert rows.refusals()[0].endswith(
        "metadata.jsonl, line 2 (1.wav): 4.50 s of audio, more than 4"
    )
    assert rows.columns["frames"] == [25, 100]
    assert [len(row) for row in rows.columns["labels"]] == [3, 5]
    assert len(rows.texts()) == 2
    assert limited(clips, [3.0, 1.0], longest=2.5).refused == {0: "3.00 s of audio, more than 2.5"}
    without = limited(clips, [1.0, 2.0])
    assert [row.tolist() for row in without.columns["labels"]] == [[IGNORE_INDEX], [IGNORE_INDEX]]
    with pytest.raises(InputError, match=r"5.00 s of audio, more than 4, and no other clip"):
        limited(clips, [5.0])


# First values


def small_config(**keys):
    sizes = {"d_model": 64, "max_source_positions": 40, "max_target_positions": 8}
    for part in ("encoder", "decoder"):
        sizes |= {f"{part}_layers": 2, f"{part}_attention_heads": 4, f"{part}_ffn_dim": 64}
    ids = {"pad_token_id": 0, "eos_token_id": 0, "bos_token_id": 0, "decoder_start_token_id": 1}
    return WhisperConfig(vocab_size=100, **sizes, **ids, **keys)


def looked_at(attention, queries, keys):
    """The place with the highest score: int [heads, queries]."""
    heads = [
        np.split(places @ np.asarray(linear.kernel[...]), attention.heads, axis=1)
        for places, linear in ((queries, attention.query), (keys, attention.key))
    ]
    return np.stack([(q @ k.T).argmax(axis=1) for q, k in zip(*heads, strict=True)])


def test_monotonic_first_values_read_along():
    config = small_config(attention_init="monotonic", init_std=1e-6)
    model = models.from_config(config, "speech_seq2seq", seed=1)
    encoder, decoder = (
        np.asarray(part.positions.embedding[...]) for part in (model.encoder, model.decoder)
    )
    middle = np.arange(10, 30)
    for layer, offsets in zip(model.encoder.layers, [(-1, 1, -2, 2), (-1, 1, -3, 3)], strict=True):
        found = looked_at(layer.attention, encoder[middle], encoder)
        assert [set(row) for row in (found - middle).tolist()] == [{offset} for offset in offsets]
    # Five places a token; the first head a token and a half behind, the last on the diagonal.
    tokens = np.arange(3, 8)
    for layer in model.decoder.layers:
        found = looked_at(layer.cross, decoder[tokens], encoder) - 5 * tokens
        assert np.abs(found - np.array([-7.5, -5, -2.5, 0])[:, None]).max() <= 0.5


def test_other_first_values_are_refused():
    with pytest.raises(InputError, match="attention_init 'neighbours' is unknown for whisper"):
        models.from_config(small_config(attention_init="neighbours"), "speech_seq2seq")


# The script

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
    loss = score(trained, clips, tmp_path / "a", "--per_device_eval_batch_size=5")
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
    # And so evaluation need not be told again.
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
    "all too long": (lambda clips, start: None, ["--max_duration_in_seconds=0.1"],
                     "s of audio, more than 0.1, and no other clip is within the limits"),
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
