"""Audio files to samples, and to the standard form; and what is no audio."""

import io
import json
import struct
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import soundfile
from support.paths import DATA
from support.toy_speech import RATE, encoded, tone, write_folder

from stages.core.errors import InputError
from stages.data.hub import fetch_split
from stages.tasks.speech.audio import decode, encode
from stages.tasks.speech.convert import Source, convert
from stages.tasks.speech.examples import read_examples

FORMATS = {
    "wav": ("WAV", "PCM_16"),
    "float wav": ("WAV", "FLOAT"),
    "flac": ("FLAC", "PCM_16"),
    "ogg": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", None),
}


def level(samples: np.ndarray, frequency: float) -> float:
    """How much of the clip's amplitude is at one frequency."""
    phases = np.exp(-2j * np.pi * frequency * np.arange(len(samples)) / RATE)
    return 2 * abs(np.mean(samples * phases))


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_at_any_rate(name, rate):
    form, subtype = FORMATS[name]
    clip = decode(encoded(tone(440, 1.0, rate), rate, form, subtype), RATE, "here")
    assert clip.dtype == np.float32
    # An encoder may add a little silence.
    assert len(clip) == pytest.approx(RATE, abs=0.1 * RATE)
    assert level(clip[2000:14000], 440) == pytest.approx(0.5, abs=0.03)


def test_stereo_is_averaged_and_high_tones_do_not_fold_back():
    left, right = tone(440, 1.0, 44_100), tone(880, 1.0, 44_100)
    clip = decode(encoded(np.stack([left, right], axis=1), 44_100, "FLAC"), RATE, "here")
    assert len(clip) == RATE
    assert level(clip, 440) == pytest.approx(0.25, abs=0.005)
    assert level(clip, 880) == pytest.approx(0.25, abs=0.005)
    # 10 kHz is above what 16 kHz can hold: it must not come back as 6 kHz.
    high = decode(encoded(tone(440, 1.0, 44_100) + tone(10_000, 1.0, 44_100) / 5, 44_100), RATE, "")
    assert level(high, 6_000) < 1e-3


def unclosed(content: bytes) -> bytes:
    """A wav as a program writes it into a pipe: without sizes."""
    at = content.index(b"data") + 4
    return content[:at] + struct.pack("<I", 2**32 - 1) + content[at + 4 :]


def test_a_wav_from_a_pipe_is_whole():
    assert len(decode(unclosed(encoded(tone(440))), RATE, "here")) == 0.2 * RATE


NOISE = np.random.default_rng(0).normal(0, 0.1, RATE)
BAD = {
    "empty file": (b"", "the file is empty"),
    "no audio": (b"some text\n" * 99, "no audio (Format not recognised); give a whole wav, flac"),
    "m4a": (b"\x00\x00\x00\x20ftypM4A " + bytes(999), "no audio (Format not recognised)"),
    "no samples": (encoded(np.zeros(0)), "no sample in the file"),
    "silence": (encoded(np.zeros(RATE)), "1.00 s of silence; give another file, or leave the row"),
    "near silence": (encoded(np.full(RATE // 2, 0.3) + NOISE[: RATE // 2] * 1e-5, form="FLAC"),
                     "0.50 s of silence"),
    "not finite": (encoded(np.array([0.1, np.nan, 0.2]), subtype="FLOAT"), "not finite"),
    "cut wav": (encoded(NOISE)[:20_000], "the wav file is cut off or damaged (only 0.62 s can be"),
    "cut flac": (encoded(NOISE, form="FLAC")[:20_000], "the flac file is cut off or damaged"),
    "damaged flac": (encoded(NOISE, form="FLAC").replace(encoded(NOISE, form="FLAC")[9000:9050],
                                                         bytes(50)), "the flac file is cut off"),
    "cut ogg": (encoded(np.tile(NOISE, 9), form="OGG")[:-2000],
                "the ogg file is cut off or damaged"),
    "cut mp3": (encoded(np.tile(NOISE, 3), form="MP3")[:-4000],
                "the mp3 file is cut off or damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused(name):
    content, said = BAD[name]
    with pytest.raises(InputError) as caught:
        decode(content, RATE, "a.csv, line 3 (x.wav)")
    assert str(caught.value).startswith("a.csv, line 3 (x.wav): ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def rated(rate: int, form: str = "WAV") -> bytes:
    """A tone whose header gives another rate."""
    content = encoded(tone(440), form=form)
    if form == "FLAC":
        # 20 bits of STREAMINFO.
        packed = struct.pack(">I", rate << 12 | int.from_bytes(content[18:22], "big") & 0xFFF)
        return content[:18] + packed + content[22:]
    at = 24 if form == "WAV" else 16
    return content[:at] + struct.pack("<I" if form == "WAV" else ">I", rate) + content[at + 4 :]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (rated(2**31 - 1), "2147483647 samples a second; a clip has 1000 to 384000, write"),
        (rated(1), "1 samples a second; a clip has 1000 to 384000"),
        (rated(999), "999 samples a second"),
        (rated(384_001, "AU"), "384001 samples a second"),
        (rated(655_350, "FLAC"), "655350 samples a second"),
        (encoded(np.repeat(tone(440)[:, None], 65, axis=1)), "65 channels; a clip has at most 64"),
        (encoded(np.full(3_700_000, 0.3), 1_000, "FLAC"), "3700 s or more; a clip has at most 36"),
    ],
)  # fmt: skip
def test_beyond_what_a_clip_may_be(content, said):
    with pytest.raises(InputError, match=r"^a.csv, line 3 \(x\): ") as caught:
        decode(content, RATE, "a.csv, line 3 (x)")
    assert said in str(caught.value)


def test_an_hour_is_taken_to_the_sample():
    hour = np.full(3_600_001, 0.3)
    hour[::2] = -0.3
    assert len(decode(encoded(hour[:-1], 1_000, "FLAC"), 1_000, "here")) == 3_600_000
    with pytest.raises(InputError, match=r"^here: 3600 s or more; a clip has at most 3600 s"):
        decode(encoded(hour, 1_000, "FLAC"), 1_000, "here")


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("joined", [1, 3])
def test_a_length_beyond_what_a_clip_may_be(form, joined, monkeypatch):
    monkeypatch.setattr("stages.tasks.speech.audio.SECONDS", 2)
    content = encoded(tone(440, 3 / joined), form=form) * joined
    with pytest.raises(
        InputError, match=r"^here: \d s or more; a clip has at most 2 s, cut it, or"
    ):
        decode(content, RATE, "here")


def peak(call, *args) -> int:
    """Bytes that a call needs at most at a time."""
    tracemalloc.start()
    try:
        call(*args)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("form", "rate", "channels", "seconds"),
    [("FLAC", 48_000, 8, 60), ("FLAC", 16_000, 1, 900), ("FLAC", 96_000, 2, 120),
     ("OGG", 48_000, 16, 15), ("FLAC", 1_000, 1, 900)],
)  # fmt: skip
def test_memory_is_that_of_the_result(form, rate, channels, seconds):
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", rate, channels, format=form) as file:
        block = np.zeros((rate, channels), np.int16)
        block[0] = 9000
        for _ in range(seconds):
            file.write(block)
    content = out.getvalue()
    encode(encoded(tone(440, rate=8_000), 8_000), RATE, "here")  # imports what it needs
    # The clip twice, as its blocks are put together, the FLAC, and what does not grow with it.
    assert peak(encode, content, RATE, "here") < 10 * RATE * seconds + 40_000_000


def test_manifests(tmp_path):
    folder = write_folder(tmp_path / "clips", ["low", "mid"])
    (tmp_path / "a.csv").write_text(
        "path,sentence,id\nclips/0.wav,One low,a\nclips/1.wav,One mid,b\n"
    )
    found = read_examples(tmp_path / "a.csv")
    assert found.texts == ["One low", "One mid"]
    assert found.lower_case().texts == ["one low", "one mid"]
    assert found.columns == {"audio": "path", "text": "sentence"}
    assert list(found.contents()) == [(folder / f"{n}.wav").read_bytes() for n in range(2)]
    assert found.where(1).endswith("a.csv, line 3 (clips/1.wav)")
    swapped = {"audio_column": "path", "text_column": "id"}
    assert read_examples(tmp_path / "a.csv", **swapped).texts == ["a", "b"]
    (tmp_path / "b.jsonl").write_text('{"text": "x", "audio": "clips/0.wav"}\n')
    assert read_examples(tmp_path / "b.jsonl").texts == ["x"]
    # A folder: `file_name` wins over the order of columns.
    (folder / "metadata.jsonl").unlink()
    (folder / "metadata.csv").write_text("id,file_name,text\n7,0.wav,a\n")
    assert read_examples(folder).names == ["0.wav"]
    (tmp_path / "c.csv").write_text("audio\nclips/0.wav\n")
    assert read_examples(tmp_path / "c.csv", needs_texts=False).texts is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("audio,text\nclips/0.wav,low\nclips/9.wav,mid\n",
         "a.csv, line 3 (clips/9.wav): no such file; give the path of an audio file, relative to"),
        ("audio,text\nclips/0.wav,\n", "a.csv, line 2: 'text' is ''; expected a transcript"),
        ("audio,text\nclips/0.wav,  \n", "a.csv, line 2: 'text' is '  '; expected a transcript"),
        ("audio,text\n,low\n", "a.csv, line 2: 'audio' is ''; expected the path of an audio file"),
        ("audio\nclips/0.wav\n", "a.csv: no column is left for --text_column_name"),
        ("audio,text\nclips,low\n", "a.csv, line 2 (clips): no such file"),
        ("clip,words,who\nclips/0.wav,low,Ann\n",
         "a.csv: which column is audio and which text? there are 'clip', 'words', 'who'; give"),
    ],
)  # fmt: skip
def test_a_manifest_that_is_wrong(content, said, tmp_path):
    write_folder(tmp_path / "clips", ["low"])
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(InputError) as caught:
        read_examples(tmp_path / "a.csv")
    assert said in str(caught.value)


def test_a_folder_without_a_manifest(tmp_path):
    with pytest.raises(InputError, match=r"expected one of metadata.csv, .* found none"):
        read_examples(tmp_path)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"a.parquet: cannot be read as parquet"):
        read_examples(tmp_path / "a.parquet")


def test_the_standard_form(tmp_path):
    folder = tmp_path / "source"
    write_folder(folder / "train", ["low mid", "high"])
    stereo = np.stack([tone(440, 0.5, 44_100)] * 2, axis=1)
    (folder / "train" / "1.wav").write_bytes(encoded(stereo, 44_100))
    source = Source(source=str(folder))
    assert source.file("train") == folder / "train"
    assert convert(str(folder / "train"), tmp_path / "a.parquet", source).rows == 2
    table = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["audio", "text", "voice"]
    rows = table.to_pylist()
    assert [row["text"] for row in rows] == ["low mid", "high"]
    assert [row["voice"] for row in rows] == ["a", "a"]
    assert [row["audio"]["path"] for row in rows] == ["0.flac", "1.flac"]
    for row, samples in zip(rows, (6400, 8000), strict=True):
        info = soundfile.info(io.BytesIO(row["audio"]["bytes"]))
        assert (info.samplerate, info.channels, info.format) == (RATE, 1, "FLAC")
        assert info.frames == samples
    # 16 bits at this rate lose nothing.
    before = soundfile.read(folder / "train" / "0.wav", dtype="int16")[0]
    np.testing.assert_array_equal(
        soundfile.read(io.BytesIO(rows[0]["audio"]["bytes"]), dtype="int16")[0], before
    )
    # As the hub's library sees it.
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["audio"]["_type"] == "Audio"
    # What is in the form already stays as it is, bytes and all.
    convert(str(tmp_path / "a.parquet"), tmp_path / "b.parquet", source)
    assert (tmp_path / "b.parquet").read_bytes() == (tmp_path / "a.parquet").read_bytes()
    again = read_examples(tmp_path / "b.parquet")
    assert again.names == ["0.flac", "1.flac"]
    assert list(again.contents()) == [row["audio"]["bytes"] for row in rows]
    assert list(again.first(1).contents()) == [rows[0]["audio"]["bytes"]]


def test_encoding_clips_what_is_too_loud():
    loud = encode(encoded(3 * tone(440), subtype="FLOAT"), RATE, "here")
    samples = soundfile.read(io.BytesIO(loud), dtype="int16")[0]
    assert (samples.min(), samples.max()) == (-(2**15), 2**15 - 1)


@pytest.mark.parametrize(
    ("change", "keys", "said"),
    [
        (lambda folder: (folder / "0.wav").write_bytes(encoded(np.zeros(9))), {},
         "metadata.jsonl, line 1 (0.wav): 0.00 s of silence"),
        (lambda folder: (folder / "1.wav").unlink(), {},
         "metadata.jsonl, line 2 (1.wav): no such file"),
        (lambda folder: (folder / "1.wav").write_bytes(encoded(tone(440))[:999]), {},
         "line 2 (1.wav): the wav file is cut off or damaged"),
        (lambda folder: None, {"max_duration_in_seconds": 0.3},
         "line 1 (0.wav): 0.40 s, more than data.max_duration_in_seconds 0.3; cut it"),
        (lambda folder: (folder / "metadata.jsonl").write_text(
            '{"file_name": "../train/0.wav", "text": "a"}\n'
            '{"file_name": "../../out.wav", "text": "a"}\n'), {},
         "/out.wav' is outside "),
        (lambda folder: (folder / "metadata.jsonl").write_text(
            '{"file_name": "0.wav", "text": "a", "n": 1}\n'
            '{"file_name": "1.wav", "text": "a", "n": "b"}\n'), {},
         "metadata.jsonl: the values of 'n' are of several types"),
    ],
)  # fmt: skip
def test_what_fetch_refuses(change, keys, said, tmp_path):
    folder = tmp_path / "source"
    write_folder(folder / "train", ["low mid", "high"])
    (tmp_path / "out.wav").write_bytes(encoded(tone(440)))
    change(folder / "train")
    with pytest.raises(InputError) as caught:
        convert(str(folder / "train"), tmp_path / "a.parquet", Source(source=str(folder), **keys))
    assert said in str(caught.value)


def test_a_hub_data_set(tmp_path):
    write_folder(tmp_path / "clips", ["low mid", "high"])
    hub = tmp_path / "hub"
    hub.mkdir()
    source = Source(source=str(tmp_path))
    convert(str(tmp_path / "clips"), hub / "train.parquet", source)
    args = SimpleNamespace(
        dataset_name=str(hub), dataset_config_name=None, dataset_revision=None, token=None,
        cache_dir=str(tmp_path / "cache"), overwrite_cache=False,
    )  # fmt: skip
    found = read_examples(fetch_split(args, "train"))
    expected = read_examples(hub / "train.parquet")
    assert found.texts == ["low mid", "high"]
    assert found.names == ["0.flac", "1.flac"]
    assert list(found.contents()) == list(expected.contents())
    # The library cannot read a folder of audio without torchcodec; we can.
    args.dataset_name = str(tmp_path / "clips")
    with pytest.raises(InputError, match=r"it is a folder of audio files, .* --train_file"):
        fetch_split(args, "train")


@pytest.mark.parametrize(("name", "rate"), [("fsdd", 8_000), ("ljspeech", 22_050), ("jfk", 44_100)])
def test_real_recordings(name, rate, tmp_path):
    if not (DATA / name).is_dir():
        pytest.skip(f"no recordings at {DATA / name}")
    files = sorted((DATA / name).rglob("*.wav" if name != "jfk" else "*.flac"))[:20]
    for file in files:
        info = soundfile.info(file)
        assert info.samplerate == rate
        clip = decode(file.read_bytes(), RATE, str(file))
        assert len(clip) == pytest.approx(info.duration * RATE, abs=1)
        assert 0.01 < np.abs(clip).max() <= 1.1
