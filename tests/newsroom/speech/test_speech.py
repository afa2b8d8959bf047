"""The newsroom's announcements: texts, splits, and the same audio again."""

import hashlib
import io
import re
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pytest
import soundfile
import yaml
from datasets import Audio, Dataset

from stages.core.errors import InputError
from stages.newsroom.names import SPLITS
from stages.newsroom.settings import parse_counts
from stages.newsroom.speech import audio
from stages.newsroom.speech.__main__ import build, main
from stages.newsroom.speech.sentences import PATTERNS, VOCABULARY
from stages.newsroom.speech.synthesiser import Pool, Synthesiser
from stages.newsroom.speech.voices import ACCENTS, RATES, SPEAKERS, draw_utterance

COUNTS = {"train": 30, "validation": 5, "test": 15}
# Of the first hundred utterances of each split, seed 1. A new value is a new data set: every figure
# measured on the old one must be measured again.
PINNED = "1ff01be5e4a61fc0fb1e563a39d7474f48db3068ea66ef2dd31bc57c95c25fbb"
# Their noise comes from a generator that espeak-ng seeds from the clock.
BREATHY = {"train": {"f5", "Alicia"}, "test": {"f2", "f3"}}


def speaker(voice: str) -> str:
    return voice.partition("+")[2]


@pytest.fixture(scope="module")
def drawn():
    counts = {"train": 4000, "validation": 500, "test": 1000}
    return {s: [draw_utterance(1, s, i) for i in range(counts[s])] for s in SPLITS}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("speech")
    build(1, COUNTS, path, workers=2)
    return path


@pytest.fixture(scope="module")
def rows(folder):
    return {split: Dataset.from_parquet(str(folder / f"{split}.parquet")) for split in SPLITS}


@pytest.fixture(scope="module")
def pool():
    with Pool(2) as opened:
        yield opened


def test_texts_and_voices_are_pinned():
    total = hashlib.sha256()
    for split in SPLITS:
        for index in range(100):
            total.update("\t".join(map(str, draw_utterance(1, split, index))).encode() + b"\n")
    assert total.hexdigest() == PINNED


def test_the_vocabulary_is_closed(drawn):
    assert 130 <= len(VOCABULARY) <= 145
    assert all(re.fullmatch("[a-z]+", word) for word in VOCABULARY)
    for split in SPLITS:
        assert {word for row in drawn[split] for word in row.text.split()} == set(VOCABULARY)


def test_splits_share_no_sentence_and_no_speaker(drawn):
    said = {split: {row.text for row in drawn[split]} for split in SPLITS}
    heard = {split: {speaker(row.voice) for row in drawn[split]} for split in SPLITS}
    for split, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not said[split] & said[other]
        assert not heard[split] & heard[other]
    # Few sentences occur twice: no split repeats a handful of them.
    assert all(len(said[split]) > 0.9 * len(drawn[split]) for split in SPLITS)
    assert all(heard[split] == set(SPEAKERS[split]) for split in SPLITS)


def test_every_pattern_is_as_frequent_in_each_split(drawn):
    for split in SPLITS:
        counts = Counter(row.template for row in drawn[split])
        share = np.array([counts[name] for name in PATTERNS]) / len(drawn[split])
        # Four standard deviations of a share of a tenth.
        assert np.abs(share - 0.1).max() < 4 * np.sqrt(0.09 / len(drawn[split]))


def test_a_sentence_follows_its_pattern(drawn):
    for row in drawn["test"]:
        pattern = re.sub(r"\\{\w+\\}", r"([a-z ]+)", re.escape(PATTERNS[row.template]))
        assert re.fullmatch(pattern, row.text)
        # Nobody travels from a town to itself.
        towns = re.findall(r"(?:from|into|reaches) (\w+)", row.text)
        assert row.template not in ("fare", "arrival") or len(set(towns)) == 2


def test_same_bytes_whoever_speaks_and_whenever(folder, rows, tmp_path):
    for split, wanted in BREATHY.items():
        assert wanted <= {speaker(voice) for voice in rows[split]["voice"]}
    time.sleep(1)  # the clock's next second
    build(1, COUNTS, tmp_path, workers=1)
    files = {path.relative_to(folder) for path in folder.rglob("*.*")}
    assert len(files) == 3 + 9 + 1
    assert files == {path.relative_to(tmp_path) for path in tmp_path.rglob("*.*")}
    for name in files:
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_rows_as_they_are_drawn(folder, rows):
    for split in SPLITS:
        found = rows[split]
        assert len(found) == COUNTS[split]
        assert found.column_names == ["audio", "text", "voice", "rate", "pitch", "template"]
        assert found.features["audio"] == Audio(sampling_rate=16000)
        for index, row in enumerate(found.cast_column("audio", Audio(decode=False))):
            utterance = draw_utterance(1, split, index)
            assert row["audio"].pop("path") == f"{split}-{index:05d}.flac"
            file = io.BytesIO(row.pop("audio")["bytes"])
            assert row == {name: getattr(utterance, name) for name in row}
            with soundfile.SoundFile(file) as opened:
                form = (opened.format, opened.subtype, opened.samplerate, opened.channels)
                wave = opened.read(dtype="int16")
            assert form == ("FLAC", "PCM_16", 16000, 1)
            assert 1 < len(wave) / 16000 < audio.MAX_SECONDS
            loudest = 20 * np.log10(np.abs(wave.astype(float)).max() / 32767)
            assert loudest == pytest.approx(-utterance.level, abs=0.01)
            if index < 3:
                sample, _ = soundfile.read(
                    folder / f"samples/{split}-{index:05d}.wav", dtype="int16"
                )
                assert (sample == wave).all()


def test_every_speaker_is_heard_whole_and_in_time(pool, drawn):
    longest = max(drawn["train"], key=lambda row: len(row.text))
    slowly = [
        longest._replace(voice=f"en-us+{name}", rate=RATES[0], level=0)
        for split in SPLITS
        for name in SPEAKERS[split]
    ]

    def measure(utterance, samples, rate):
        raw = np.abs(np.frombuffer(samples, np.int16).astype(int))
        wave = audio.finish(samples, rate, utterance.level) / 32767
        frames = wave[: len(wave) // 160 * 160].reshape(-1, 160)
        loud = (frames**2).mean(axis=1)
        return raw.max(), (loud > 1e-3 * loud.max()).mean()

    for utterance, (loudest, share) in zip(slowly, pool.map(measure, slowly), strict=True):
        assert 3000 < loudest < 32700, utterance.voice
        assert share > 0.7, utterance.voice


def test_no_two_words_sound_the_same(pool):
    alone = [
        draw_utterance(1, "train", 0)._replace(text=word, voice="en+m3") for word in VOCABULARY
    ]
    sounds = Counter(pool.map(lambda utterance, samples, rate: samples, alone))
    assert len(sounds) == len(VOCABULARY)


def test_accents_differ(pool):
    same = draw_utterance(1, "train", 0)
    voices = [same._replace(voice=f"{accent}+m3") for accent in ACCENTS]
    assert len(set(pool.map(lambda utterance, samples, rate: samples, voices))) == len(ACCENTS)


@pytest.mark.parametrize(
    ("voice", "said"),
    [("en+nobody", "no speaker 'nobody'"), ("en-gb+m3", "voice 'en-gb+m3': voice refused")],
)
def test_a_voice_that_is_not_there(voice, said):
    synthesiser = Synthesiser()
    with pytest.raises(InputError, match=re.escape(said)):
        synthesiser.speak(draw_utterance(1, "train", 0)._replace(voice=voice))
    # And the process continues.
    assert synthesiser.speak(draw_utterance(1, "train", 0))
    synthesiser.close()


def test_finish_trims_resamples_and_sets_the_level():
    # A second of 500 Hz between silences, at 22,050 Hz; 50 ms of silence remain at both ends.
    tone = 8000 * np.sin(2 * np.pi * 500 * np.arange(22050) / 22050)
    wave = np.concatenate([np.zeros(9000), tone, np.zeros(7000)]).astype(np.int16)
    made = audio.finish(wave.tobytes(), 22050, 20)
    assert made.dtype == np.int16
    assert len(made) == pytest.approx(1.1 * 16000, abs=40)
    # 20 dB below full scale: a tenth.
    assert np.abs(made).max() == 3277
    strength = np.abs(np.fft.rfft(made[1600:-1600]))
    assert strength.argmax() * 16000 / (len(made) - 3200) == pytest.approx(500, abs=1)
    with pytest.raises(ValueError, match="only silence"):
        audio.finish(bytes(2000), 22050, 6)
    with pytest.raises(ValueError, match=r"4\.10 seconds, 4 or more"):
        audio.finish(np.ones(22050 * 4 + 2205, np.int16).tobytes(), 22050, 6)


def test_the_process_that_forks_is_small():
    code = (
        "import sys, stages.newsroom.speech.espeak as it; it.Library();"
        "assert not {'numpy', 'scipy', 'jax', 'yaml', 'threading'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.fixture
def params(tmp_path):
    def write(tasks=None, **newsroom):
        newsroom = {"seed": 1, "utterances": dict.fromkeys(SPLITS, 1)} | newsroom
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump({"newsroom": newsroom, "tasks": tasks or {}}))
        out = tmp_path / "out"
        return ["--params_file", str(path), "--output_dir", str(out)], out

    return write


def refused(capsys, arguments) -> str:
    with pytest.raises(SystemExit, match="1"):
        main(arguments)
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


def test_command(params, capsys):
    arguments, out = params()
    out.mkdir()
    (out / "old").touch()
    main(arguments)
    printed = capsys.readouterr().out
    assert printed.startswith(f"3 utterances of seed 1 written to {out}")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*.*")}
    samples = {f"samples/{split}-00000.wav" for split in SPLITS}
    assert names == samples | {f"{split}.parquet" for split in SPLITS} | {"README.md"}
    assert "3 utterances" in (out / "README.md").read_text()
    assert {path.name for path in out.parent.iterdir()} == {"out", "params.yaml"}


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("raise ImportError('no wheel for this machine')", "no wheel for this machine"),
        ("get_data_path = lambda: '/'\nget_library_path = lambda: '/gone.so'", "/gone.so"),
        ("import os\nget_data_path = lambda: os._exit(7)", "ended with status 7"),
    ],
)
def test_no_library(module, said, params, tmp_path, monkeypatch, capsys):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "espeakng_loader.py").write_text(module)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "lib"))
    arguments, out = params()
    out.mkdir()
    (out / "old").touch()
    line = refused(capsys, arguments)
    assert said in line
    assert "`tasks.speech.enabled: false` in params.yaml" in line
    assert [path.name for path in out.iterdir()] == ["old"]
    assert {path.name for path in tmp_path.iterdir()} == {"lib", "out", "params.yaml"}
    # The remedy that it names works.
    arguments, out = params({"speech": {"enabled": False}})
    main(arguments)
    assert [path.name for path in out.iterdir()] == ["README.md"]
    assert "switched off" in (out / "README.md").read_text()
    assert "enabled is false" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"utterances": 5},
            "newsroom.utterances is 5; expected a mapping with train, validation, test",
        ),
        ({"utterances": {"train": 1, "test": 1}}, "newsroom.utterances.validation is missing"),
        (
            {"utterances": dict.fromkeys(SPLITS, 0)},
            "newsroom.utterances.train is 0; expected a",
        ),
        (
            {"utterance": 5},
            "newsroom: unknown key 'utterance'; did you mean 'utterances'?",
        ),
        ({"seed": None}, "newsroom.seed is missing; give a whole number"),
        ({"tasks": {"speech": {"enabled": "maybe"}}}, "tasks.speech.enabled is 'maybe'; expected"),
    ],
)
def test_settings_that_are_refused(changed, said, params, capsys):
    arguments, out = params(**changed)
    assert said in refused(capsys, arguments)
    assert not out.exists()


def test_each_part_of_the_newsroom_checks_its_own_numbers(params, capsys):
    events = dict.fromkeys(SPLITS, 2)
    node = {"seed": 1, "events": events, "utterances": "not looked at"}
    assert parse_counts(node, "events") == (1, events)
    arguments, _ = params(utterances=None)
    assert "newsroom.utterances is missing; give a mapping" in refused(capsys, arguments)
