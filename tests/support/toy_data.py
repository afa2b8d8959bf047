"""Toy data: a text, labelled pairs, tagged sentences, questions and stories; the files of them."""

import json
from pathlib import Path

from support.toy_speech import write_folder

TEXT = """Alice Ray met Bob in Paris .
They saw the old bridge there .

Bob went to London in May .
He paid 12 pounds for a room , and 30 for the train back to Paris .
Alice Ray stayed .

The bridge in London was closed .

In May the train was late . Bob saw Alice Ray there , and they met the old mayor of Paris too .
"""

PAIRS = [
    ("Alice Ray met Bob .", "Bob met Alice Ray .", "same"),
    ("The bridge was closed .", "The train was late .", "other"),
    ("Bob went to London in May .", "In May Bob went to London .", "same"),
    ("He paid 12 pounds for a room in London .", "He paid 30 pounds .", "other"),
    ("They saw the old bridge there .", "They saw the bridge .", "same"),
    ("The old mayor of Paris met Bob in May .", "Bob stayed .", "other"),
    ("The train was late .", "The train back to Paris was late in May .", "same"),
]

SENTENCES = [
    ("Alice Ray met Bob in Paris .", "B-PER I-PER O B-PER O B-LOC O"),
    ("Bob went to London .", "B-PER O O B-LOC O"),
    ("The bridge in London was closed .", "O O O B-LOC O O O"),
    ("They saw the old mayor of Paris there in May .", "O O O O O O B-LOC O O O O"),
    ("Alice Ray stayed .", "B-PER I-PER O O"),
]

CONTEXTS = [
    (
        "Alice Ray met Bob in Paris .",
        [("Where did they met ?", "Paris"), ("Who met Bob ?", "Alice Ray")],
    ),
    (
        "Bob went to London in May . He paid 12 pounds for a room , and 30 for the train back .",
        [("When was Bob in London ?", "May"), ("Who closed the bridge ?", None)],
    ),
    ("The bridge in London was closed .", [("What was closed ?", "The bridge")]),
]

# With their summaries.
STORIES = [
    ("Ann met Bo in Paris . They saw the bridge .", "Ann in Paris"),
    ("Bo went to London . He paid for a room .", "Bo in London"),
    ("Ann stayed in London . The train was late .", "Ann in London"),
    ("The bridge in Paris was closed . Bo stayed there .", "Bo in Paris"),
]


def squad(nested: bool) -> dict:
    """`CONTEXTS` in the official form, or flat under `data`."""
    paragraphs, number = [], 0
    for context, questions in CONTEXTS:
        qas = []
        for question, answer in questions:
            number += 1
            answers = [{"text": answer, "answer_start": context.index(answer)}] if answer else []
            row = {"id": f"q{number}", "question": question, "answers": answers}
            qas.append({**row, "is_impossible": answer is None})
        paragraphs.append({"context": context, "qas": qas})
    if nested:
        return {"version": "v2.0", "data": [{"title": "t", "paragraphs": paragraphs}]}
    rows = [
        {
            "id": row["id"],
            "question": row["question"],
            "context": paragraph["context"],
            "answers": {
                "text": [answer["text"] for answer in row["answers"]],
                "answer_start": [answer["answer_start"] for answer in row["answers"]],
            },
        }
        for paragraph in paragraphs
        for row in paragraph["qas"]
    ]
    return {"version": 2.0, "data": rows}


def write_files(folder: Path) -> Path:
    """A file of each form that the tasks read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "text.txt").write_text(TEXT)
    header = "sentence1,sentence2,label\n"
    (folder / "pairs.csv").write_text(header + "".join(f"{a},{b},{c}\n" for a, b, c in PAIRS))
    (folder / "unlabelled.csv").write_text(
        "sentence1,sentence2\n" + "".join(f"{a},{b}\n" for a, b, _ in PAIRS)
    )
    (folder / "scores.csv").write_text(
        header + "".join(f"{a},{b},{n * 0.75}\n" for n, (a, b, _) in enumerate(PAIRS))
    )
    (folder / "single.json").write_text(
        "".join(
            json.dumps({"sentence": one, "label": number % 3}) + "\n"
            for number, (one, _, _) in enumerate(PAIRS)
        )
    )  # fmt: skip
    rows = [{"tokens": words.split(), "ner_tags": tags.split()} for words, tags in SENTENCES]
    (folder / "tags.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "words.json").write_text(
        "".join(json.dumps({"tokens": row["tokens"]}) + "\n" for row in rows)
    )
    (folder / "nested.json").write_text(json.dumps(squad(nested=True)))
    (folder / "flat.json").write_text(json.dumps(squad(nested=False)))
    unanswered = squad(nested=False)
    for row in unanswered["data"]:
        del row["answers"]
    (folder / "questions.json").write_text(json.dumps(unanswered))
    (folder / "summaries.json").write_text(
        "".join(
            json.dumps({"document": context, "summary": f"{context.split()[0]} was there"}) + "\n"
            for context, _ in CONTEXTS
        )
    )
    (folder / "masked.txt").write_text("Alice Ray met [MASK] in Paris .\n[MASK] saw the [MASK] .\n")
    (folder / "gaps.txt").write_text(
        "Alice Ray met <extra_id_0> in Paris .\n<extra_id_0> saw the <extra_id_1> .\n"
    )
    write_folder(folder / "clips", ["low mid", "high", "mid low high", "low"])
    return folder
