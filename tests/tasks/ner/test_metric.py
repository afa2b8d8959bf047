"""Entities that are counted chunk by chunk, beside seqeval's report on all sentences."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import accuracy_score, classification_report

from stages.tasks import local_metric
from stages.tasks.ner.metric import NamedEntities

# All that is read: O, and every prefix with types, of which one holds a hyphen.
TAGS = ["O", *(f"{prefix}-{name}" for prefix in "BIES" for name in ("PER", "LOC", "A-B"))]
PAIRS = st.tuples(st.sampled_from(TAGS), st.sampled_from(TAGS))
NAMES = {"precision": "precision", "recall": "recall", "f1": "f1-score"}


@given(st.lists(st.lists(PAIRS, min_size=1, max_size=8), min_size=1, max_size=8))
def test_counts_equal_the_report(sentences):
    predictions, references = (
        [[pair[side] for pair in sentence] for sentence in sentences] for side in range(2)
    )
    with patch.object(local_metric, "CHUNK", 3):
        found = NamedEntities().compute(
            predictions=iter(predictions), references=iter(references), by_type=True
        )
    assert found.pop("accuracy") == accuracy_score(references, predictions)
    if {tag for tags in (*predictions, *references) for tag in tags} == {"O"}:
        assert found == dict.fromkeys(NAMES, 0.0)
        return
    report = classification_report(references, predictions, output_dict=True, zero_division=0)
    overall = report["micro avg"]
    expected = {name: overall[theirs] for name, theirs in NAMES.items()}
    for kind, entry in report.items():
        if not kind.endswith(" avg"):
            expected |= {f"{kind}_{name}": entry[theirs] for name, theirs in NAMES.items()}
            expected[f"{kind}_number"] = entry["support"]
    assert found == expected
    assert list(found) == list(expected)
