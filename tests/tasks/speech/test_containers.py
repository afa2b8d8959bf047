"""Audio is as long as it is, whatever its header says: pipes, joined files, streams cut off."""

import io
import itertools
import re
import struct
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from support.toy_speech import RATE, encoded, tone

from stages.core.errors import InputError
from stages.tasks.speech import containers, mpeg
from stages.tasks.speech.audio import decode, encode

NOISE = np.random.default_rng(0).normal(0, 0.2, 9 * RATE)
UNKNOWN = [0, 0x7FFFFFFF, 0x80000000, 0x7FFFF000, 0x7FFFEFFC, 0x7FFFFFDB, 0xFFFFFFFF, 0xFFFFFFDB]


def seconds(content: bytes) -> float:
    """How long `decode` finds a file to be."""
    return len(decode(content, RATE, "here")) / RATE


def at(content: bytes, place: int, form: str, *values: int) -> bytes:
    """`content` with other numbers at a place."""
    packed = struct.pack(form, *values)
    return content[:place] + packed + content[place + len(packed) :]


def wav(riff: int, data: int, **options) -> bytes:
    """Half a second whose header has other sizes."""
    content = encoded(tone(440, 0.5), **options)
    return at(at(content, 4, "<I", riff), content.index(b"data") + 4, "<I", data)


@pytest.mark.parametrize("data", UNKNOWN, ids=hex)
@pytest.mark.parametrize("riff", [0, 36, 16_036, 0x7FFFF024, 0x80000024, 0xFFFFFFFF], ids=hex)
def test_a_wav_from_a_pipe(riff, data):
    np.testing.assert_array_equal(
        decode(wav(riff, data), RATE, "here"), decode(encoded(tone(440, 0.5)), RATE, "here")
    )


@pytest.mark.parametrize("subtype", ["FLOAT", "ULAW", "PCM_24", "IMA_ADPCM"])
@pytest.mark.parametrize("data", [0, 0xFFFFFFFF], ids=hex)
def test_a_wav_of_another_coding_from_a_pipe(subtype, data):
    assert seconds(wav(data, data, subtype=subtype)) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize(("riff", "data"), [(1036, 1000), (16_036, 1000), (0, 1000)])
def test_a_wav_whose_size_is_of_an_earlier_moment(riff, data):
    assert seconds(wav(riff, data)) == 0.5


LIST = b"LIST" + struct.pack("<I", 15) + b"INFOIART" + struct.pack("<I", 2) + b"me\0" + b"\0"


@pytest.mark.parametrize(
    "rest",
    [
        LIST,
        b"id3 \x04\0\0\0abcd",
        b"TAG" + b"a" * 125,
        bytes(4000),
        b"ID3\x03\0\0\0\0\0\x09" + b"\xff" * 9,
    ],
)
@pytest.mark.parametrize("form", ["WAV", "RF64"])
def test_what_follows_the_samples_is_none(form, rest):
    assert seconds(encoded(tone(440, 0.5), form=form) + rest) == 0.5


def test_an_empty_wav_with_a_note_is_empty():
    with pytest.raises(InputError, match="no sample in the file"):
        decode(encoded(np.zeros(0)) + LIST, RATE, "here")


def sized(form: str, value: int) -> bytes:
    """Half a second in another container, with another size of its samples."""
    content = encoded(tone(440, 0.5), form=form, subtype="PCM_16")
    place, packed = {
        "RF64": lambda: (content.index(b"ds64") + 16, "<Q"),
        "W64": lambda: (content.index(b"data") + 16, "<Q"),
        "AIFF": lambda: (content.index(b"SSND") + 4, ">I"),
        "AU": lambda: (8, ">I"),
        "CAF": lambda: (content.index(b"data") + 4, ">Q"),
    }[form]()
    return at(content, place, packed, value if packed[1] == "Q" else value & 0xFFFFFFFF)


@pytest.mark.parametrize("value", [0, 0x7F000000, 0x7FFFFFFF, 0x80000000, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("form", ["RF64", "W64", "AIFF", "AU", "CAF"])
def test_another_container_from_a_pipe(form, value):
    assert seconds(sized(form, value)) == pytest.approx(0.5, abs=0.001)


@pytest.mark.parametrize("form", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF"])
def test_a_container_that_promises_more_is_cut_off(form):
    content = encoded(NOISE[:RATE], form=form, subtype="PCM_16")
    assert seconds(content) == 1
    with pytest.raises(InputError, match=rf"^here: the {containers.kind(content)} file is cut off"):
        decode(content[:-2000], RATE, "here")


@pytest.mark.parametrize(("count", "said"), [(0, 0), (9000, 9000), (RATE, RATE)])
def test_a_flac_whose_header_counts_less(count, said):
    content = encoded(NOISE[:RATE], form="FLAC")
    content = at(content, 22, ">I", count)
    assert soundfile.info(io.BytesIO(content)).frames in (said, 2**63 - 1)
    assert seconds(content) == 1
    # What is kept must have the right count.
    assert soundfile.info(io.BytesIO(encode(content, RATE, "here"))).frames == RATE


def test_a_flac_cut_between_two_frames_is_cut_off():
    longer = at(encoded(NOISE[:RATE], form="FLAC"), 22, ">I", RATE + 4096)
    with pytest.raises(InputError, match=r"the flac file is cut off or damaged \(only 1.00 s can"):
        decode(longer, RATE, "here")


@pytest.mark.parametrize("rest", [b"TAG" + b"a" * 125, b"junk" * 999, bytes(999)])
def test_a_flac_with_something_behind_it(rest):
    content = encoded(NOISE[:RATE], form="FLAC")
    np.testing.assert_array_equal(
        decode(content + rest, RATE, "here"), decode(content, RATE, "here")
    )
    assert seconds(b"ID3\x03\0\0\0\0\0\x09" + b"x" * 9 + content) == 1


def mp3(samples: np.ndarray, rate: int = RATE) -> bytes:
    """A variable bit rate, with the header that counts the frames."""
    out = io.BytesIO()
    channels = 1 if samples.ndim == 1 else samples.shape[1]
    with soundfile.SoundFile(
        out, "w", rate, channels, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="VARIABLE",
        compression_level=0.5,
    ) as file:  # fmt: skip
        file.write(samples)
    return out.getvalue()


def bare(content: bytes) -> bytes:
    """An mp3 without that header."""
    return content[mpeg.frame(content, 0) :]


TAG = b"TAG" + b"a" * 125
ID3 = b"ID3\x03\0\0\0\0\x20\x09" + NOISE.tobytes()[: 32 * 128 + 9]
LOUD = np.concatenate([NOISE[: 3 * RATE], np.zeros(9 * RATE)])
A, B = mp3(NOISE[: 3 * RATE]), mp3(NOISE[: 2 * RATE])


@pytest.mark.parametrize("samples", [LOUD, LOUD[::-1]], ids=["loud first", "silent first"])
@pytest.mark.parametrize("header", [True, False])
def test_a_variable_bit_rate(samples, header):
    content = mp3(samples)
    content = content if header else bare(content)
    assert seconds(content) == pytest.approx(12, abs=0.0001 if header else 0.1)
    # The header of the length is what says that an mp3 is cut off.
    if header:
        with pytest.raises(InputError, match="the mp3 file is cut off"):
            decode(content[:-2000], RATE, "here")


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_an_mp3_of_any_rate_without_a_header(rate, channels):
    samples = np.repeat(np.resize(NOISE, 3 * rate)[:, None], channels, axis=1)
    assert seconds(bare(mp3(samples, rate))) == pytest.approx(3, abs=0.2)


@pytest.mark.parametrize(
    "content",
    [A + B, bare(A) + bare(B), A + bare(B), bare(A) + B, A + TAG + B, bare(A) + TAG + ID3 + bare(B),
     ID3 + A + TAG + ID3 + bare(B) + TAG, A + b"junk" * 999 + B, bare(A) + bytes(3000) + bare(B)],
)  # fmt: skip
def test_mp3_files_that_were_joined(content):
    assert seconds(content) == pytest.approx(5, abs=0.2)


def chained(form: str, subtype: str | None, rates=(RATE, RATE), channels=(1, 1)) -> bytes:
    pieces = []
    for rate, count, long in zip(rates, channels, (3, 2), strict=True):
        samples = np.repeat(np.resize(NOISE, long * rate)[:, None], count, axis=1)
        pieces.append(encoded(samples, rate, form, subtype))
    return b"".join(pieces)


JOINED = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "vorbis": ("OGG", "VORBIS"),
    "opus": ("OGG", "OPUS"),
    "mp3": ("MP3", None),
}


@pytest.mark.parametrize("channels", [(1, 1), (1, 2), (2, 1)])
@pytest.mark.parametrize("rates", [(RATE, RATE), (48_000, RATE), (8_000, 24_000)])
@pytest.mark.parametrize("name", JOINED)
def test_files_that_were_joined(name, rates, channels):
    content = chained(*JOINED[name], rates, channels)
    assert seconds(content) == pytest.approx(5, abs=0.001)
    kept = encode(content, RATE, "here")
    assert soundfile.info(io.BytesIO(kept)).duration == pytest.approx(5, abs=0.001)


@pytest.mark.parametrize("name", JOINED)
def test_of_joined_files_the_last_may_be_cut_off(name):
    with pytest.raises(InputError, match="file is cut off or damaged"):
        decode(chained(*JOINED[name])[:-3000], RATE, "here")


@pytest.mark.parametrize("name", JOINED)
def test_of_joined_files_the_first_may_be_cut_off(name):
    content = encoded(NOISE[: 3 * RATE], form=JOINED[name][0], subtype=JOINED[name][1])
    with pytest.raises(InputError, match="file is cut off or damaged"):
        decode(content[:-3000] + content, RATE, "here")


def test_streams_side_by_side_are_one_part():
    one = encoded(NOISE[:RATE], form="OGG", subtype="VORBIS")
    # A second stream whose first page stands beside the other's.
    beside = at(one[: one.index(b"OggS", 4)], 14, "<I", 77)
    parts = containers.split(beside + one)
    assert [len(part.content) for part in parts] == [len(beside + one)]


def test_random_bytes_are_no_frames():
    content = np.random.default_rng(1).bytes(1_000_000)
    assert mpeg.split(content) == []
    marks = [match.start() for match in re.finditer(rb"\xff[\xfa\xfb]", content)]
    assert len(marks) > 10


# What is raised within libsndfile's callbacks is a warning.
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [*JOINED, "aiff", "au", "caf", "w64", "rf64", "bare mp3"])
def test_a_cut_anywhere_gives_samples_or_a_line(name):
    form, subtype = JOINED.get(name, (name.upper(), "PCM_16"))
    content = bare(A) if name == "bare mp3" else encoded(NOISE[:4000], form=form, subtype=subtype)
    rng = np.random.default_rng(2)
    ends = itertools.chain(range(80), rng.integers(80, len(content), 40))
    for end in ends:
        damaged = bytearray(content)
        damaged[rng.integers(len(content))] ^= 1 << rng.integers(8)
        for tried in (content[:end], bytes(damaged)):
            with suppress(InputError):
                decode(tried, RATE, "here")
