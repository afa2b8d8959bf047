"""What the tests of readers share."""

import pytest


@pytest.fixture
def write(tmp_path):
    """`write(name, content)`: the path of a file with these bytes, or this text."""

    def writer(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return writer
