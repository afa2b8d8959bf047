"""A folder that the speech script saved, in plain transformers: the same words again."""

import pytest
import soundfile
from support import scripts
from support.toy_models import make_whisper
from support.toy_speech import write_folder

torch = pytest.importorskip("torch")

from transformers import WhisperForConditionalGeneration, WhisperProcessor  # noqa: E402

pytestmark = pytest.mark.parity


def test_transformers_writes_the_same_transcripts(tmp_path):
    texts = ["low mid", "high", "mid low high", "low"] * 3
    clips = write_folder(tmp_path / "clips", texts)
    start, out = make_whisper(tmp_path / "start"), tmp_path / "out"
    scripts.call(
        "run_flax_speech_recognition_seq2seq",
        f"--model_name_or_path={start}",
        f"--train_file={clips}",
        f"--validation_file={clips}",
        f"--output_dir={out}",
        "--from_scratch",
        "--do_train",
        "--do_eval",
        "--predict_with_generate",
        # Enough to say something, not to be right.
        "--max_steps=60",
        "--learning_rate=1e-2",
        "--length_buckets=1",
    )
    processor = WhisperProcessor.from_pretrained(out)
    model = WhisperForConditionalGeneration.from_pretrained(out)
    sounds = [soundfile.read(clips / f"{number}.wav")[0] for number in range(12)]
    features = processor(sounds, sampling_rate=16_000, return_tensors="pt").input_features
    written = processor.batch_decode(
        model.generate(features, max_new_tokens=10), skip_special_tokens=True
    )
    expected = [row["prediction"] for row in scripts.json_lines(out / "eval_predictions.json")]
    assert len(set(expected)) > 1
    assert [text.strip() for text in written] == expected
