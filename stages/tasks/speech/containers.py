"""Files of audio taken apart: into the recordings that were joined, each up to where it ends.

libsndfile stops where a header says that the samples end. Headers say it wrongly where a program
wrote to a pipe, could not go back, or where files were joined; an MP3 without a header is guessed.
"""

import re
import struct
from dataclasses import dataclass
from itertools import pairwise

from stages.tasks.speech import mpeg

# What stands in place of a size that the writer did not know: 0, -1, or the largest that fits
# (0x7FFFFFFF, 0x80000000; SoX: 0x7FFFF000, and 0x7F000000 in AIFF). A recording of that size
# lasts longer than a clip may.
_NO_SIZE = 0x7F000000

_MARKS = {
    b"RIFF": "wav",
    b"RIFX": "wav",
    b"RF64": "wav",
    b"riff": "w64",
    b"FORM": "aiff",
    b".snd": "au",
    b"caff": "caf",
    b"fLaC": "flac",
    b"OggS": "ogg",
}
_WAV_STARTS = re.compile(rb"(?:RIFF|RIFX|RF64).{4}WAVE", re.DOTALL)
_NAME = re.compile(rb"[ -~]{4}")
# The first block of metadata is STREAMINFO, of 34 bytes.
_FLAC_STARTS = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")


@dataclass(frozen=True)
class Part:
    """One recording in a file.

    content: the file that the decoder is given.
    counted: the header of `content` has the number of samples; if there are fewer, it is cut off.
    endless: the same without that number, for a decoder that otherwise stops there.
    cut: the container ends before it says.
    """

    content: bytes
    counted: bool = False
    endless: bytes | None = None
    cut: bool = False


def kind(content: bytes) -> str | None:
    """What the first bytes claim the file to be."""
    start = mpeg.after_tags(content, 0)
    mark = content[start : start + 4]
    if mark == b"FORM" and content[start + 8 : start + 12] not in (b"AIFF", b"AIFC"):
        return None
    if mark in _MARKS:
        return _MARKS[mark]
    return "mp3" if content.startswith(b"ID3") or mpeg.frame(content, start) else None


def split(content: bytes) -> list[Part]:
    """The recordings in a file, in order; at least one."""
    found = kind(content)
    if found == "mp3":
        return [Part(*part) for part in mpeg.split(content)] or [Part(content)]
    content = content[mpeg.after_tags(content, 0) :]
    if found == "flac":
        return [_flac(piece) for piece in _pieces(content, _FLAC_STARTS)]
    if found == "ogg":
        return _ogg(content)
    if found == "wav":
        return [_sized(piece) for piece in _pieces(content, _WAV_STARTS)]
    return [_sized(content) if found else Part(content)]


def _pieces(content: bytes, starts: re.Pattern) -> list[bytes]:
    cuts = [0, *(match.start() for match in starts.finditer(content, 1)), len(content)]
    return [content[start:end] for start, end in pairwise(cuts)]


def _flac(content: bytes) -> Part:
    # 36 bits of STREAMINFO; 0 stands for unknown, as in what was written to a pipe.
    if len(content) < 26 or not (content[21] & 0x0F or any(content[22:26])):
        return Part(content)
    endless = content[:21] + bytes([content[21] & 0xF0]) + bytes(4) + content[26:]
    return Part(content, counted=True, endless=endless)


def _ogg(content: bytes) -> list[Part]:
    """One part for each link of a chain, which begins where streams begin after pages of others."""
    pages = [match.start() for match in re.finditer(b"OggS", content)]
    starts, cuts, beginning = [], [], False
    for at, following in pairwise([*pages, len(content)]):
        header = content[at : at + 27].ljust(27, b"\0")
        lengths = content[at + 27 : at + 27 + header[26]]
        whole = at + 27 + header[26] + sum(lengths) <= following
        begins, ends = header[5] & 2, header[5] & 4
        if not starts or (begins and not beginning):
            starts.append(at)
            cuts.append(True)
        beginning = bool(begins)
        cuts[-1] = not (whole and ends)
    return [
        Part(content[start:end], cut=cut)
        for (start, end), cut in zip(pairwise([*starts, len(content)]), cuts, strict=True)
    ]


@dataclass(frozen=True)
class _Chunks:
    """How a container has its chunks.

    header: format of a chunk's name and size.
    first: where the first chunk is.
    data: the name of the samples' chunk.
    counted: bytes of the header that count in the size.
    aligned: chunks begin at multiples of this number of bytes.
    """

    header: str
    first: int
    data: bytes
    counted: int = 0
    aligned: int = 2


_CHUNKS = {
    b"RIFF": _Chunks("<4sI", 12, b"data"),
    b"RIFX": _Chunks(">4sI", 12, b"data"),
    b"RF64": _Chunks("<4sI", 12, b"data"),
    b"FORM": _Chunks(">4sI", 12, b"SSND"),
    b"caff": _Chunks(">4sq", 8, b"data", aligned=1),
    b"riff": _Chunks("<16sq", 40, b"data" + bytes.fromhex("f3acd3118cd100c04f8edb8a"), 24, 8),
}


def _sized(content: bytes) -> Part:
    """A container that has a size before the samples: with the right one, if that was not known."""
    chunks = _CHUNKS.get(content[:4])
    field = _au_size(content) if chunks is None else _data_size(content, chunks)
    if field is None:
        return Part(content, cut=True)
    at, form, start = field
    (size,) = struct.unpack_from(form, content, at)
    counted = chunks.counted if chunks else 0
    if counted <= size < _NO_SIZE:
        end = start + size - counted
        if end > len(content):
            return Part(content, cut=True)
        if _ends(content, end, chunks):
            return Part(content)
    right = bytearray(content)
    struct.pack_into(form, right, at, len(content) - start + counted)
    return Part(bytes(right))


def _au_size(content: bytes) -> tuple[int, str, int] | None:
    if len(content) < 24:
        return None
    return 8, ">I", struct.unpack_from(">I", content, 4)[0]


def _data_size(content: bytes, chunks: _Chunks) -> tuple[int, str, int] | None:
    """Where the size of the samples stands, its format, and where what it counts begins."""
    at, long_size = chunks.first, None
    header = struct.calcsize(chunks.header)
    while at + header <= len(content):
        name, size = struct.unpack_from(chunks.header, content, at)
        if name == b"ds64":
            long_size = at + header + 8
        if name == chunks.data:
            if size == 2**32 - 1 and long_size is not None:
                return long_size, "<q", at + header
            width = chunks.header[-1]
            return at + header - struct.calcsize(width), chunks.header[0] + width, at + header
        # A size below the header's own would never get on.
        at += header + max(0, size - chunks.counted)
        at += -at % chunks.aligned
    return None


def _ends(content: bytes, at: int, chunks: _Chunks | None) -> bool:
    """Whether the samples end at `at`: what follows is padding, a tag or other chunks.

    If it is anything else, the size is of a moment when more was still to be written.
    """
    if not content[at:].strip(b"\0"):
        return True
    if chunks is None:
        return False
    header = struct.calcsize(chunks.header)
    while True:
        at += -at % chunks.aligned
        if at >= len(content) or mpeg.after_tags(content, at) > at:
            return True
        if at + header > len(content):
            return False
        name, size = struct.unpack_from(chunks.header, content, at)
        if not _NAME.fullmatch(name[:4]) or size < chunks.counted:
            return False
        at += header + size - chunks.counted
        if at > len(content):
            return False
