"""The baseline of masked language modelling: the masks are those of the model's evaluation."""

import numpy as np
import pytest
from support import toy_data

from stages.tasks.mlm import baseline


@pytest.fixture
def seen(tmp_path, monkeypatch):
    """`seen(**settings)`: the rows that the baseline masks, and the `Masker` that does it."""
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text(toy_data.TEXT)

    def get(folder, **settings):
        masked, made = [], []

        class Watched(baseline.Masker):
            def evaluation(self, batch):
                made.append((self.probability, self.seed, self.span))
                lengths = batch.arrays["attention_mask"].sum(axis=1)
                rows = zip(batch.arrays["input_ids"], lengths, strict=True)
                masked.extend(ids[:length].tolist() for ids, length in rows)
                return super().evaluation(batch)

        with monkeypatch.context() as patch:
            patch.setattr(baseline, "Masker", Watched)
            figures = baseline.measure(str(tmp_path), str(folder), **settings)
        assert set(figures) == {"unigram", "neighbours"}
        assert all(np.isfinite(list(one.values())).all() for one in figures.values())
        (masker,) = set(made)
        return masked, masker

    return get


def test_rows_and_masks_follow_the_task(seen, checkpoint):
    folder = checkpoint()
    short, masker = seen(folder, max_seq_length=12, mlm_probability=0.3, seed=5)
    assert max(map(len, short)) <= 12
    assert masker == (0.3, 5, 1.0)
    long, masker = seen(folder, max_seq_length=40)
    assert 12 < max(map(len, long)) <= 40
    assert masker == (0.15, 42, 1.0)
    lines, _ = seen(folder, max_seq_length=40, line_by_line=True)
    assert len(lines) > len(long)
