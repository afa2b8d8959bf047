"""A JSON text decoded row by row, without the whole of it in memory."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

_SPACE = re.compile(r"[ \t\n]*")
_COMMA = re.compile(r"[ \t\n]*,[ \t\n]*")
# Within so many characters of the end of a cut text, an error may be that of the cut: the longest
# part that the decoder takes or refuses as one is a pair of escapes, \ud83d\ude00.
_NEAR = 16


class JsonError(Exception):
    """Text that is not JSON, or that cannot be held as such.

    line: in the text, from 1.
    """

    def __init__(self, reason: str, line: int):
        super().__init__(reason)
        self.line = line


class Document:
    """The rows of an array, or of the array `data` of an object.

    Messages, lines and columns are those of `json.loads` of the whole text.

    Args:
        blocks: of the text, with line feeds alone as line ends.
        hook: gives an object for its pairs, as `object_pairs_hook` of `json.loads`.

    kind: the text's first character, `[` for an array; known with the first row.
    has_rows: whether there is such an array; known behind the last row.
    """

    def __init__(self, blocks: Iterator[str], hook: Callable = dict):
        self.kind = ""
        self.has_rows = False
        self._blocks = blocks
        self._hook = hook
        self._decode = json.JSONDecoder(object_pairs_hook=hook).raw_decode
        # The text at hand, what of it is used up, and whether it is the last.
        self._text, self._at, self._ended = "", 0, False
        # The line at `_counted`, and how many characters of its line stand before the text.
        self._line, self._counted, self._before = 1, 0, 0

    def rows(self) -> Iterator[tuple[Any, int, str]]:
        """Each row with its line, from 1, and its text.

        A row that is itself an array, which no table has, comes as an empty one without text: it
        may be all of a large file.

        Raises:
            JsonError: when the fault is reached, behind the rows before it.
        """
        self.kind = self._skip()
        if self.kind == "[":
            self.has_rows = True
            yield from self._array(of_rows=True)
        elif self.kind == "{":
            yield from self._object()
        else:
            self._value()
        if self._skip():
            raise self._error("Extra data", self._at)

    def _object(self) -> Iterator[tuple[Any, int, str]]:
        character = self._skip(1)
        keys = set()
        while character != "}":
            if character != '"':
                raise self._broken("{")
            line = self._line_at(self._at)
            key = self._value()
            try:
                self._hook([(key, None)] * (2 if key in keys else 1))
            except ValueError as error:
                raise _unreadable(error, line) from None
            keys.add(key)
            if self._skip() != ":":
                raise self._broken('{""')
            is_array = self._skip(1) == "["
            if key == "data":
                self.has_rows = is_array
            if not is_array:
                self._value()
            elif key == "data":
                yield from self._array(of_rows=True)
            else:
                self._pass_array()
            character = self._next('{"":""', "}")
        self._at += 1

    def _pass_array(self) -> None:
        for _ in self._array(of_rows=False):
            pass

    def _array(self, *, of_rows: bool) -> Iterator[tuple[Any, int, str]]:
        character = self._skip(1)
        while character != "]":
            line = self._line_at(self._at)
            if of_rows and character == "[":
                self._pass_array()
                yield [], line, ""
            else:
                value = self._value()
                yield value, line, self._text[self._start : self._at]
            character = self._next('[""', "]")
        self._at += 1

    def _next(self, prefix: str, closing: str) -> str:
        """Go behind a value to the next one, or to the closing bracket; its first character."""
        # The usual case: an object behind another.
        comma = _COMMA.match(self._text, self._at)
        if comma and closing == "]" and self._text.startswith("{", comma.end()):
            self._at = comma.end()
            return "{"
        character = self._skip()
        if character == closing:
            return character
        if character != ",":
            raise self._broken(prefix)
        # The comma stays at hand: the message for a bracket behind it may be about the comma.
        while (at := _SPACE.match(self._text, self._at + 1).end()) == len(self._text):
            if not self._fill():
                break
        character = self._text[at : at + 1]
        if character == closing or (closing == "}" and character != '"'):
            raise self._broken(prefix)
        self._at = at
        return character

    def _value(self) -> Any:
        """Decode the value that begins here and go behind it."""
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except json.JSONDecodeError as error:
                near = error.pos + _NEAR > len(self._text) or error.msg.startswith("Unterminated")
                if not (near and self._fill()):
                    raise self._error(error.msg, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise _unreadable(error, self._line_at(self._at)) from None
            else:
                # A number may go on in the next block.
                if end + _NEAR > len(self._text) and self._fill():
                    continue
                self._start, self._at = self._at, end
                return value

    def _skip(self, past: int = 0) -> str:
        """Go past some characters and the blanks behind them; the character there, "" for none."""
        self._at += past
        while True:
            self._at = _SPACE.match(self._text, self._at).end()
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        """Drop what is used up and read on; whether there was more.

        What is left at least doubles, so that a long value, decoded again each time, costs linear
        time.
        """
        left = len(self._text) - self._at
        pieces, size = [], 0
        while not self._ended and size <= left:
            block = next(self._blocks, None)
            self._ended = block is None
            if block:
                pieces.append(block)
                size += len(block)
        if not pieces:
            return False
        self._line_at(self._at)
        line_start = self._text.rfind("\n", 0, self._at) + 1
        self._before = self._at - line_start + (0 if line_start else self._before)
        self._text = "".join([self._text[self._at :], *pieces])
        self._at = self._counted = 0
        return True

    def _line_at(self, position: int) -> int:
        self._line += self._text.count("\n", self._counted, position)
        self._counted = position
        return self._line

    def _broken(self, prefix: str) -> JsonError:
        """What the decoder says of what stands here, if it comes behind `prefix`."""
        try:
            json.loads(prefix + self._text[self._at :])
        except json.JSONDecodeError as error:
            return self._error(error.msg, self._at + error.pos - len(prefix))
        raise AssertionError("the decoder takes what was found broken")

    def _error(self, reason: str, position: int) -> JsonError:
        line_start = self._text.rfind("\n", 0, position) + 1
        column = position - line_start + (0 if line_start else self._before) + 1
        return JsonError(f"not JSON ({reason}, column {column})", self._line_at(position))


def _unreadable(error: Exception, line: int) -> JsonError:
    return JsonError(f"cannot be read as JSON ({error})", line)
