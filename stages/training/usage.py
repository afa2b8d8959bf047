"""How a model is used, for its card: lines of flaxmill and of PyTorch, to be run as they are.

With plain transformers the user has to repeat what flaxmill takes from `flaxmill.json`.
"""

import json
from collections.abc import Mapping
from typing import Any

from stages.training.arguments import CommonArguments

_PIPELINE = """\
from transformers import pipeline

model = pipeline("{tag}", model={folder}{options})
print(model({inputs}))
"""
_QUESTION_ANSWERING = """\
import torch
from transformers import AutoModelForQuestionAnswering, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({folder})
model = AutoModelForQuestionAnswering.from_pretrained({folder})
inputs = tokenizer({inputs}, return_tensors="pt")
with torch.no_grad():
    scores = model(**inputs)
first, last = int(scores.start_logits.argmax()), int(scores.end_logits.argmax())
print(tokenizer.decode(inputs["input_ids"][0, first : last + 1]))
"""
_SEQ2SEQ = """\
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({folder})
model = AutoModelForSeq2SeqLM.from_pretrained({folder})
inputs = tokenizer({inputs}, return_tensors="pt"{options})
written = model.generate(**inputs, {length})[0]
print(tokenizer.decode(written, skip_special_tokens={skip}))
"""
_SPEECH = """\
import soundfile
from transformers import AutoFeatureExtractor, AutoModelForSpeechSeq2Seq, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained({folder})
extractor = AutoFeatureExtractor.from_pretrained({folder})
model = AutoModelForSpeechSeq2Seq.from_pretrained({folder})
samples, rate = soundfile.read("clip.wav")  # one channel, {rate} Hz
inputs = extractor(samples, sampling_rate=rate, return_tensors="pt")
print(tokenizer.decode(model.generate(inputs.input_features)[0], skip_special_tokens=True))
"""


def usage(
    args: CommonArguments, kept: Mapping[str, Any], head: str, tag: str | None, processors: tuple
) -> str:
    """The card's section, in Markdown.

    Args:
        args: the task's arguments.
        kept: those that the folder keeps, with the columns that were chosen.
        head: of the model, as in `stages.models.from_pretrained`.
        tag: the hub's name of what the model does.
        processors: the tokenizer, and the feature extractor of speech.
    """
    texts = args.example_texts(kept, processors[0])
    typed = " ".join(f"--text {json.dumps(text)}" for text in texts)
    folder = args.hub_model_id or args.output_dir
    command = f"python -m stages.predict {folder}"
    lines = [f"{command} FILE", f"{command} {typed}"] if texts else [f"{command} clip.wav"]
    return "\n".join(
        [
            "## How to use",
            "With flaxmill, which takes columns, lengths and the like from `flaxmill.json`:",
            "```",
            *lines,
            "```",
            "With PyTorch:",
            "```python",
            _pytorch(folder, kept, head, tag, texts, processors) + "```",
        ]
    )


def _pytorch(
    folder: str,
    kept: Mapping[str, Any],
    head: str,
    tag: str | None,
    texts: list[str],
    processors: tuple,
) -> str:
    values = {"folder": json.dumps(folder), "tag": tag, "options": ""}
    inputs = [json.dumps(text, ensure_ascii=False) for text in texts]
    cut = ""
    if longest := kept.get("max_seq_length") or kept.get("max_source_length"):
        cut = f", truncation=True, max_length={longest}"
    if head == "speech_seq2seq":
        return _SPEECH.format(**values, rate=processors[1].sampling_rate)
    if head == "question_answering":
        return _QUESTION_ANSWERING.format(**values, inputs=", ".join(inputs))
    if head == "seq2seq_lm":
        values["options"] = cut
        text = json.dumps((kept.get("source_prefix") or "") + texts[0], ensure_ascii=False)
        if "max_new_tokens" in kept:  # what fills gaps stands behind special tokens
            return _SEQ2SEQ.format(
                **values, inputs=text, length=f"max_new_tokens={kept['max_new_tokens']}", skip=False
            )
        longest = kept["val_max_target_length"] or kept["max_target_length"]
        return _SEQ2SEQ.format(**values, inputs=text, length=f"max_length={longest}", skip=True)
    if head == "causal_lm":
        # Each document of the training follows this token.
        text = json.dumps(processors[0].eos_token + texts[0], ensure_ascii=False)
        written = f"{text}, max_new_tokens={kept['max_new_tokens']}, do_sample=False"
        return _PIPELINE.format(**values, inputs=written)
    if head == "token_classification":
        values["options"] = ', aggregation_strategy="first"'
    if head == "sequence_classification":
        one = f'{{"text": {inputs[0]}, "text_pair": {inputs[1]}}}' if inputs[1:] else inputs[0]
        inputs = [one + cut]
    return _PIPELINE.format(**values, inputs=inputs[0])
