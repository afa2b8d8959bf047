"""Arguments of speech recognition."""

from dataclasses import dataclass

from stages.core.arguments import flag
from stages.core.errors import InputError
from stages.training.arguments import CommonArguments

NORMALISATIONS = ("basic", "english", "none")


@dataclass(kw_only=True)
class SpeechArguments(CommonArguments):
    """Flags of `run_flax_speech_recognition_seq2seq`."""

    preprocessing_num_workers: int | None = flag(
        None, "processes that compute features (default: one a core)", at_least=1
    )
    audio_column_name: str | None = flag(
        None, "column of the audio, or of the paths of audio files"
    )
    text_column_name: str | None = flag(None, "column of the transcript")
    max_duration_in_seconds: float = flag(
        20.0, "leave longer audio out of training; name and count it in evaluation", above=0
    )
    min_duration_in_seconds: float = flag(0.0, "the same for shorter audio", at_least=0)
    max_label_length: int = flag(
        128,
        "leave transcripts of more tokens out of training; name and count them in evaluation",
        at_least=4,
    )
    language: str | None = flag(None, "language of the speech, for a multilingual model")
    task: str | None = flag(
        None,
        "what a multilingual model is to do (default: transcribe)",
        choices=("transcribe", "translate"),
    )
    do_lower_case: bool = flag(True, "train on transcripts in lower case")
    predict_with_generate: bool = flag(False, "write transcripts in evaluation, and score them")
    num_beams: int | None = flag(
        None, "beams of the search (default: the model's; 1 is greedy)", at_least=1
    )
    generation_max_length: int | None = flag(
        None, "tokens of a transcript at most (default: max_label_length)", at_least=2
    )
    normalisation: str = flag(
        "basic", "what eval_wer and eval_cer forgive (see WordErrors)", choices=NORMALISATIONS
    )

    def __post_init__(self):
        super().__post_init__()
        if self.min_duration_in_seconds >= self.max_duration_in_seconds:
            raise InputError(
                f"--min_duration_in_seconds {self.min_duration_in_seconds:g} must be below "
                f"--max_duration_in_seconds {self.max_duration_in_seconds:g}"
            )
        for name in ("num_beams", "generation_max_length"):
            if getattr(self, name) and not (self.predict_with_generate or self.do_predict):
                raise InputError(f"--{name} needs --predict_with_generate or --do_predict")
