"""MP3 files taken apart: frames, tags, and the header that some encoders put into a first frame.

libsndfile guesses the length of an MP3 without that header from its first frame, which is wrong
where the bit rate varies, and of joined files it reads what the first one's header counts.
"""

import re
import struct

_KBITS = {
    True: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
# Layer III of MPEG 1, 2 and 2.5, with and without a checksum.
_SYNC = re.compile(rb"\xff[\xe2\xe3\xf2\xf3\xfa\xfb]")
_ZEROS = re.compile(rb"\0*")
# More than any file has, and little enough that their samples can be counted in 63 bits.
_ENDLESS = 2**31 - 1


def frame(content: bytes, at: int) -> int:
    """Bytes of the frame of layer III at `at`; 0 if there is none."""
    head = content[at : at + 4]
    if len(head) < 4 or not _SYNC.match(head):
        return 0
    rate, bits = head[2] >> 2 & 3, head[2] >> 4
    if rate == 3 or not 0 < bits < 15:
        return 0
    first = _is_mpeg_1(head)
    kbits = _KBITS[first][bits - 1]
    return (144 if first else 72) * 1000 * kbits // _rate(head) + (head[2] >> 1 & 1)


def after_tags(content: bytes, at: int) -> int:
    """Where the tags that begin at `at`, and the zeros after them, end; `at` if there are none."""
    start = at
    while True:
        if content.startswith(b"ID3", at) and len(content) >= at + 10:
            size = 0
            for byte in content[at + 6 : at + 10]:
                size = size << 7 | byte & 127
            footer = content[at + 5] >> 4 & 1
            at += 10 + size + 10 * footer
        elif content.startswith(b"TAG", at) and len(content) >= at + 128:
            at += 128
        elif content.startswith(b"APETAGEX", at) and len(content) >= at + 32:
            size, _, flags = struct.unpack_from("<III", content, at + 12)
            # At the end of a file there may be the footer of a tag alone.
            at += 32 + (size if flags >> 29 & 1 else 0)
        elif at > start and content[at : at + 1] == b"\0":
            at = _ZEROS.match(content, at).end()
        else:
            return min(at, len(content))


def split(content: bytes) -> list[tuple[bytes, bool]]:
    """The runs of frames of one recording each, and whether a header counts its frames.

    A run ends where the header of another begins, where its own has counted to the end, where rate
    or channels change, and where something lies between frames. One without a count gets a header
    that counts more frames than there can be, so that all of them are decoded.
    """
    runs, at = [], 0
    while (start := _next(content, at)) is not None:
        at, counted = _end(content, start)
        run = content[start:at]
        runs.append((run if counted else _endless(run[:4]) + run, counted))
    return runs


def _next(content: bytes, at: int) -> int | None:
    """Where the next two frames follow each other: one alone may be anything."""
    for match in _SYNC.finditer(content, after_tags(content, at)):
        start = match.start()
        after = start + frame(content, start)
        if after > start and frame(content, after) and _same(content, start, after):
            return start
    return None


def _end(content: bytes, start: int) -> tuple[int, bool]:
    """Where the run at `start` ends, and whether its header counts the frames."""
    count = _count(content, start)
    at = start + frame(content, start)
    frames = 0
    while frames != count and (size := frame(content, at)) and _same(content, start, at):
        if _count(content, at) is not None:
            break
        at += size
        frames += 1
    return min(at, len(content)), count is not None


def _count(content: bytes, at: int) -> int | None:
    """The frames after this one, if it is the header of a recording and has their number."""
    head = content[at : at + 4]
    checksum = 0 if head[1] & 1 else 2
    tag = at + 4 + checksum + _side(head)
    if content[tag : tag + 4] in (b"Xing", b"Info") and len(content) >= tag + 12:
        flags, count = struct.unpack_from(">II", content, tag + 4)
        return count if flags & 1 and count else None
    if content.startswith(b"VBRI", at + 36) and len(content) >= at + 54:
        return struct.unpack_from(">I", content, at + 50)[0] or None
    return None


def _endless(head: bytes) -> bytes:
    """A header, as a frame of 128 or 64 kbit/s, for the stream that `head` is a frame of."""
    first = _is_mpeg_1(head)
    bits = _KBITS[first].index(128 if first else 64) + 1
    head = bytes([head[0], head[1] | 1, bits << 4 | head[2] & 0x0C, head[3]])
    start = head + bytes(_side(head)) + b"Xing" + struct.pack(">II", 1, _ENDLESS)
    return start.ljust(frame(head, 0), b"\0")


def _same(content: bytes, first: int, second: int) -> bool:
    """Whether two frames have the same version, rate and channels."""
    one, other = content[first : first + 4], content[second : second + 4]
    return (
        one[1] & 0x18 == other[1] & 0x18
        and one[2] & 0x0C == other[2] & 0x0C
        and _is_mono(one) == _is_mono(other)
    )


def _side(head: bytes) -> int:
    """Bytes of side information, which a header has empty."""
    if _is_mpeg_1(head):
        return 17 if _is_mono(head) else 32
    return 9 if _is_mono(head) else 17


def _is_mpeg_1(head: bytes) -> bool:
    return head[1] & 0x18 == 0x18


def _rate(head: bytes) -> int:
    halvings = {0x18: 0, 0x10: 1, 0x00: 2}[head[1] & 0x18]
    return _RATES[head[2] >> 2 & 3] >> halvings


def _is_mono(head: bytes) -> bool:
    return head[3] >> 6 == 3
