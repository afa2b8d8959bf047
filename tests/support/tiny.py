"""Tiny files, tokenizers and checkpoints that the tests share, and how a script is called."""

import contextlib
import importlib
import io
import json
import os
import sys
from pathlib import Path
from unittest import mock

from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast

from stages import models
from stages.vocabularies.wordpieces import SPECIAL, train_wordpieces

SCRIPTS = {
    "mlm": "run_mlm_flax",
    "glue": "run_flax_glue",
    "ner": "run_flax_ner",
    "qa": "run_qa",
    "clm": "run_clm_flax",
    "t5_mlm": "run_t5_mlm_flax",
    "summarization": "run_summarization_flax",
    "speech": "run_flax_speech_recognition_seq2seq",
}
# The tasks that share the files and the checkpoints of this module; the others have their own.
ENCODER_TASKS = ("mlm", "glue", "ner", "qa")
POSITIONS = 384
TRAINING = (
    "--overwrite_output_dir",
    "--per_device_train_batch_size=4",
    "--per_device_eval_batch_size=4",
    "--max_steps=3",
    "--learning_rate=1e-2",
    "--logging_steps=1",
    "--max_seq_length=24",
    "--length_buckets=1",
)

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


def call(script: str, *flags, out: io.StringIO | None = None) -> str:
    """Run a script's `main()` on these flags, as the reference suite does; what it printed."""
    main = importlib.import_module(f"stages.{script}").main
    out = io.StringIO() if out is None else out
    with (
        mock.patch.object(sys, "argv", [f"{script}.py", *map(str, flags)]),
        contextlib.redirect_stdout(out),
    ):
        main()
    return out.getvalue()


def refused(script: str, *flags, out: io.StringIO | None = None) -> str:
    """Run a script that must stop: exit status 1 and one line on stderr, which is returned.

    What it prints otherwise goes to `out`.
    """
    err = io.StringIO()
    status = None
    with contextlib.redirect_stderr(err):
        try:
            call(script, *flags, out=out)
        except SystemExit as stop:
            status = stop.code
    lines = [line for line in err.getvalue().splitlines() if line.startswith("error: ")]
    assert status == 1, f"exit status {status}"
    assert len(lines) == 1, err.getvalue()
    assert "Traceback" not in err.getvalue()
    return lines[0]


def on_devices(count: int) -> dict[str, str]:
    """The environment of a process that takes the CPU for so many devices."""
    flags = os.environ["XLA_FLAGS"] + f" --xla_force_host_platform_device_count={count}"
    return {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}


def results(folder, split: str = "eval") -> dict:
    """The results file that a script left."""
    return json.loads((Path(folder) / f"{split}_results.json").read_text())


def json_lines(path) -> list[dict]:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def tree(folder) -> dict[str, bytes]:
    """Every file of a folder by its name within."""
    folder = Path(folder)
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make_tokenizer(size: int = 110) -> PreTrainedTokenizerFast:
    """Word pieces of the texts here, so few that longer words come apart."""
    texts = [TEXT, *(f"{one} {two}" for one, two, _ in PAIRS), "Who What Where When did ?"]
    return PreTrainedTokenizerFast(
        tokenizer_object=train_wordpieces(texts, size), model_max_length=POSITIONS, **SPECIAL
    )


def make_config(model_type: str, vocab_size: int):
    """A configuration of width 16 with one layer, with dropout."""
    names = {
        "hidden_size": "dim",
        "intermediate_size": "hidden_dim",
        "num_attention_heads": "n_heads",
        "num_hidden_layers": "n_layers",
    }
    sizes = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_attention_heads": 2,
        "num_hidden_layers": 1,
    }
    if model_type == "distilbert":
        sizes = {names[key]: value for key, value in sizes.items()}
    extra = {"type_vocab_size": 1} if model_type == "roberta" else {}
    return CONFIG_MAPPING[model_type](
        vocab_size=vocab_size,
        max_position_embeddings=POSITIONS + (1 if model_type == "roberta" else 0),
        pad_token_id=0,
        initializer_range=0.1,
        **sizes,
        **extra,
    )


def make_checkpoint(folder: Path, model_type: str, tokenizer, head: str = "masked_lm") -> Path:
    """A folder with random weights and a tokenizer."""
    config = make_config(model_type, len(tokenizer))
    models.save_pretrained(models.from_config(config, head, seed=3), folder)
    tokenizer.save_pretrained(folder)
    return folder


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
    """A file of each form that the four tasks read."""
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
    return folder


# The training file of each task, and the flags that it needs.
FILES = {"mlm": "text.txt", "glue": "pairs.csv", "ner": "tags.json", "qa": "nested.json"}
OWN = {"mlm": (), "glue": (), "ner": (), "qa": ("--version_2_with_negative", "--doc_stride=4")}
