"""The model's front end, as its folder describes it."""

from types import SimpleNamespace

from pydantic import Field
from transformers import PretrainedConfig, WhisperFeatureExtractor

from stages.core.errors import InputError, shortened
from stages.models.entries import Entries, check_entries
from stages.models.pretrained.folder import local_folder
from stages.tasks.speech.spectrogram import LogMel


class ExtractorEntries(Entries):
    """What is read of `preprocessor_config.json`, where it is given."""

    feature_size: int | None = Field(None, ge=1, le=1024)
    sampling_rate: int | None = Field(None, ge=1, le=1_000_000)
    hop_length: int | None = Field(None, ge=1, le=2**16)
    chunk_length: float | None = Field(None, gt=0, le=3600)
    n_fft: int | None = Field(None, ge=2, le=2**14)
    dither: float | None = Field(None, ge=0, le=1)
    padding_value: float | None = None


def load_extractor(name: str, **hub) -> WhisperFeatureExtractor:
    """The feature extractor that `preprocessor_config.json` of a model's folder describes.

    Args:
        name: folder or hub id of the model, or of its tokenizer.
        hub: `revision`, `cache_dir` and `token`.

    Raises:
        InputError: the file is missing, broken or of another kind; or it asks for dither, while
            features are computed once and cached.
    """
    folder = local_folder(name, **hub)
    try:
        values, _ = WhisperFeatureExtractor.get_feature_extractor_dict(folder)
        kind = values.get("feature_extractor_type", "WhisperFeatureExtractor")
        check_entries(ExtractorEntries, SimpleNamespace(**values))
        extractor = WhisperFeatureExtractor.from_dict(values)
    except Exception as error:  # transformers raises many types for values of a wrong type
        reason = shortened((str(error).strip().splitlines() or [type(error).__name__])[0], 200)
        raise InputError(
            f"{name}: its preprocessor_config.json cannot be read ({reason}); it says how audio "
            "becomes features, as stages.pipeline.make_tokenizer writes it"
        ) from None
    if kind != "WhisperFeatureExtractor":
        raise InputError(
            f"{name}: preprocessor_config.json is of a {shortened(str(kind))}; expected a "
            "WhisperFeatureExtractor"
        )
    if extractor.dither:
        raise InputError(
            f"{name}: preprocessor_config.json has dither {extractor.dither}, but features are "
            "computed once and kept; set it to 0"
        )
    return extractor


def log_mel_of(extractor: WhisperFeatureExtractor, config: PretrainedConfig) -> LogMel:
    """The extractor without its library.

    Raises:
        InputError: it gives other shapes than the model of this configuration takes.
    """
    log_mel = LogMel(
        rate=extractor.sampling_rate,
        samples=int(extractor.n_samples),
        n_fft=extractor.n_fft,
        hop_length=extractor.hop_length,
        filters=extractor.mel_filters,
    )
    # The encoder's second convolution takes every other frame.
    expected = 2 * config.max_source_positions
    if log_mel.frames != expected:
        raise InputError(
            f"preprocessor_config.json makes {log_mel.frames} frames of a clip (chunk_length "
            f"{extractor.chunk_length} s, hop_length {extractor.hop_length}), but config.json "
            f"takes {expected} (2 x max_source_positions); make them agree"
        )
    if extractor.feature_size != config.num_mel_bins:
        raise InputError(
            f"preprocessor_config.json has feature_size {extractor.feature_size}, config.json "
            f"num_mel_bins {config.num_mel_bins}; make them agree"
        )
    return log_mel
