"""The arguments of speech recognition."""

import pytest

from stages.core.arguments import parse
from stages.core.errors import InputError
from stages.tasks.speech.arguments import SpeechArguments


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--min_duration_in_seconds=20"],
         "--min_duration_in_seconds 20 must be below --max_duration_in_seconds 20"),
        (["--num_beams=2"], "--num_beams needs --predict_with_generate or --do_predict"),
        (["--generation_max_length=9"], "--generation_max_length needs --predict_with_generate"),
        (["--task=sing"], "--task is 'sing'; expected one of transcribe, translate"),
        (["--normalisation=french"], "--normalisation is 'french'; expected one of basic, english"),
        (["--max_duration_in_seconds=0"], "expected a number, > 0"),
    ],
)  # fmt: skip
def test_arguments_that_make_no_sense(words, said):
    common = ["--do_eval", "--model_name_or_path=m", "--validation_file=f", "--output_dir=o"]
    with pytest.raises(InputError) as caught:
        parse(SpeechArguments, "", [*common, *words])
    assert said in str(caught.value)


def test_defaults_are_the_references():
    args = parse(SpeechArguments, "", ["--do_eval", "--model_name_or_path=m",
                                       "--validation_file=f", "--output_dir=o"])  # fmt: skip
    assert args.max_duration_in_seconds == 20
    assert args.max_label_length == 128
    assert args.do_lower_case is True
