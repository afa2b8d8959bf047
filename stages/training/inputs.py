"""The files that a command reads, and their rows."""

from collections.abc import Callable
from typing import Any, NamedTuple

from stages.core.checksums import path_checksum
from stages.core.progress import doing
from stages.data.cache import RowCache
from stages.data.columns import say_columns
from stages.data.find_shards import find_shards, hub_shards
from stages.data.hub import cache_folder, input_file
from stages.data.stream import RowStream
from stages.data.tables import Table
from stages.training.arguments import CommonArguments
from stages.training.input_arguments import SHUFFLE_BUFFER_SIZE


class Input(NamedTuple):
    """A file to read, and how many of its rows (None: all).

    path: the file, or the first block of a stream.
    stream: where the further blocks come from.
    """

    path: str | Table
    limit: int | None
    stream: RowStream | None = None

    @property
    def name(self) -> str:
        """What a message calls it."""
        return self.path if self.stream is None else self.stream.shards.name

    def checksum(self) -> str:
        """SHA-256 of the file, or of the names and sizes of a stream's files."""
        if self.stream is None:
            return path_checksum(self.path)
        return self.stream.shards.contents_digest()


class Inputs(NamedTuple):
    """The files that a command reads; None for those that it does not need."""

    train: Input | None
    validation: Input | None
    test: Input | None


def input_files(args: CommonArguments, *, held_out: bool = False) -> Inputs:
    """The files to train on, to evaluate on and to predict, as the flags ask for.

    Training reads the validation file too, if one is given. With `held_out` validation is a part
    of the training file. A split of a hub data set is downloaded to a file. A stream is opened, and
    its first block read.
    """
    train = ("train_file", "train_split_name")
    validation = train if held_out else ("validation_file", "eval_split_name")
    evaluates = args.do_eval or (args.do_train and (held_out or bool(args.validation_file)))
    wanted = (
        (args.do_train, *train, args.max_train_samples),
        (evaluates, *validation, args.max_eval_samples),
        (args.do_predict, "test_file", "test_split_name", args.max_predict_samples),
    )
    with doing("fetching the data"):
        train, *others = (
            Input(input_file(args, file, split), limit)
            if needed and not (args.streaming and file == "train_file")
            else None
            for needed, file, split, limit in wanted
        )
    return Inputs(_open_stream(args) if args.streaming and args.do_train else train, *others)


def _open_stream(args: CommonArguments) -> Input:
    if args.dataset_name:
        shards = hub_shards(args, args.train_split_name)
    else:
        shards = find_shards(args.train_file, "train_file")
    stream = RowStream(shards, args.shuffle_buffer_size or SHUFFLE_BUFFER_SIZE)
    return Input(stream.first, None, stream)


def read_input(input: Input | None, reader: Callable, **options) -> Any:
    """`reader(path, limit=limit, **options)`, or None if there is no input.

    Of what has `columns`, which column of the file is what, they are printed.
    """
    if input is None:
        return None
    with doing(f"reading {input.name}"):
        found = reader(input.path, limit=input.limit, **options)
    say_columns(input.name, getattr(found, "columns", {}))
    return found


def row_cache(args: CommonArguments) -> RowCache:
    """Where rows and tokens are kept, see `stages.data.cache`."""
    return RowCache(cache_folder(args), overwrite=args.overwrite_cache)
