"""Rows into arrays and chunks."""

import subprocess
import sys
import textwrap

import numpy as np

from stages.data.writer import in_chunks, ragged_array


def test_ragged_of_arrays_and_lists():
    rows = [[1, 2, 3], [], [70_000], list(range(100)), [5]]
    arrays = [np.array(row, np.int64) for row in rows]
    assert ragged_array(arrays, np.int32) == ragged_array(rows, np.int32)
    assert len(ragged_array([], np.int32)) == 0


def test_texts_and_numbers_need_no_pandas():
    code = """
        import sys
        import numpy as np
        from stages.data.writer import build_store, ragged_array, text_array

        def build(writer):
            ids = ragged_array([[1, 2], [3]], np.int32)
            writer.write({"text": text_array(["a", "b"]), "ids": ids, "number": np.zeros(2)})

        store = build_store(build)
        print(list(store.column("text")), list(store.column("ids")), store.numbers("number"))
        print("pandas" in sys.modules)
    """
    line = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_in_chunks():
    assert list(in_chunks(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(in_chunks([], 2)) == []
