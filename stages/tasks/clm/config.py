"""The configuration of a model that is trained from nothing."""

from stages.core.errors import InputError, quoted


def new_config(args, tokenizer):
    """What `model_type` and `config_overrides` ask for; None where neither changes anything.

    Args:
        args: the task's arguments.
        tokenizer: gives the size of the vocabulary where there is no configuration yet.

    Returns:
        A transformers configuration.

    Raises:
        InputError: an override that is none, of a key that is not there, or of the wrong type.
    """
    from transformers import CONFIG_MAPPING

    from stages import models

    if args.model_type:
        end = tokenizer.eos_token_id
        config = CONFIG_MAPPING[args.model_type](
            vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end
        )
    elif args.config_overrides and args.new_weights:
        config = models.load_config(args.config_name or args.model_name_or_path, **args.hub_options)
    else:
        return None
    if args.config_overrides:
        try:
            config.update_from_string(args.config_overrides)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"--config_overrides {quoted(args.config_overrides)}: {error}; write "
                "NAME=VALUE, with commas between"
            ) from None
    return config
