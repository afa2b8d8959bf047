"""The model's front end, as its folder describes it."""

from transformers import PretrainedConfig, WhisperFeatureExtractor

from stages.core.errors import InputError
from stages.models.pretrained.folder import local_folder
from stages.tasks.speech.audio import LogMel


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
        extractor = WhisperFeatureExtractor.from_dict(values)
    except (OSError, ValueError, TypeError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{name}: its preprocessor_config.json cannot be read ({reason}); it says how audio "
            "becomes features, as stages.pipeline.make_tokenizer writes it"
        ) from None
    if kind != "WhisperFeatureExtractor":
        raise InputError(
            f"{name}: preprocessor_config.json is of a {kind}; expected a WhisperFeatureExtractor"
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
