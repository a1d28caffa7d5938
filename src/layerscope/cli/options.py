"""The options that every verb shares, and the model that they name."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from layerscope.cli.asked import Asked
from layerscope.cli.output import note, waiting
from layerscope.errors import InputError, LayerscopeError

if TYPE_CHECKING:
    from layerscope.model import Model
    from layerscope.reduce.layers import Layers
    from layerscope.text.vocabulary import Vocabulary

Json = Annotated[bool, typer.Option("--json", help="Print all of it as JSON.")]
Pair = Annotated[str | None, typer.Option(help="A second text, put in by the tokenizer's template.")]
TextArgument = Annotated[
    str | None, typer.Argument(help="The text; - or nothing reads it from stdin.", show_default=False)
]
SomeLayers = Annotated[
    str | None,
    typer.Option(
        "--layer",
        help="Which to show: all, 8, -4:, or 1,6,12. First, middle and last if left out.",
        show_default=False,
    ),
]
Checkpoint = Annotated[str | None, typer.Argument(help="The same as --model.", show_default=False)]


@dataclass(frozen=True)
class TokenizerOptions:
    """Which model's tokenizer to load."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="A Hub id, a folder, or a .gguf file. The bundled model if left out.",
            metavar="MODEL",
        ),
    ] = None
    revision: Annotated[str | None, typer.Option(help="Of a Hub id, a branch, tag or commit.")] = None
    trust_remote_code: Annotated[
        bool, typer.Option("--trust-remote-code", help="Run code that comes with the checkpoint.")
    ] = False

    def load_vocabulary(self) -> tuple[str, Vocabulary]:
        """The model's name, and its vocabulary."""
        name = self._checked(None)
        with waiting(f"Loading the tokenizer of {name or 'the bundled model'} …"):
            from layerscope.loading.checkpoint import load_vocabulary

            return load_vocabulary(name, revision=self.revision, trust_remote_code=self.trust_remote_code)

    def _checked(self, checkpoint: str | None) -> str | None:
        """The name of the model, a mistake in it found before anything heavy is imported."""
        from layerscope.loading.location import on_this_machine

        if checkpoint is not None and self.model is not None:
            raise InputError("Name the model once, as MODEL or with --model.")
        name = checkpoint or self.model
        for option in ("allow_pickle", "trust_remote_code"):
            if name is None and getattr(self, option, False):
                raise InputError(
                    f"--{option.replace('_', '-')} has no effect on the bundled model; leave it out, or give --model."
                )
        on_this_machine(name, self.revision)
        return name


@dataclass(frozen=True)
class ModelOptions(TokenizerOptions):
    """Which model to load, and how."""

    device: Annotated[str, typer.Option(help="auto (cuda, then mps, then cpu), or a torch device.")] = "auto"
    dtype: Annotated[
        str, typer.Option(help="float32, float16, bfloat16, or auto for the checkpoint's own.")
    ] = "float32"
    task: Annotated[
        str | None,
        typer.Option(
            help="Load the head for it: text-classification, token-classification, question-answering, …"
        ),
    ] = None
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Accept pickled weights, which can run any code.")
    ] = False

    def check(
        self, *, layers: Layers | None = None, features: Sequence[str] = (), pooling: str = "mean"
    ) -> None:
        """Raise before anyone waits for the model, if it is not there, or has no such layer, feature or pooling.

        Which layers it has is checked where its configuration says it; else it is found when the model is loaded.
        """
        from layerscope.loading.location import said_layers
        from layerscope.reduce.feature import Feature
        from layerscope.reduce.layers import resolve_layers
        from layerscope.reduce.pooling import check_pooling

        name = self._checked(None)
        check_pooling(pooling)
        parsed = [Feature.parse(one) for one in features]
        number = said_layers(name, self.revision)
        if number is None:
            return
        if layers is not None:
            resolve_layers(layers, number)
        for one in parsed:
            one.resolve(number)

    def load(self, checkpoint: str | None = None) -> Model:
        """The model; `checkpoint` is its name where a verb takes it as an argument too."""
        name = self._checked(checkpoint)
        with waiting(f"Loading {name or 'the bundled model'} …"):
            from layerscope.loading.checkpoint import load

            return load(
                name,
                revision=self.revision,
                task=self.task,
                device=self.device,
                dtype=self.dtype,
                allow_pickle=self.allow_pickle,
                trust_remote_code=self.trust_remote_code,
            )


def with_options(verb: Callable[..., None]) -> Callable[..., None]:
    """Give a verb the fields of those of its parameters that are groups of options: `ModelOptions`, `Files`, ….

    A field that the verb has itself is its own. If it has a parameter `asked`, it is told which options are given. What
    the library says of arguments is said of options.
    """
    own = inspect.signature(verb, eval_str=True).parameters
    kinds: dict[str, Any] = {
        name: one.annotation for name, one in own.items() if is_dataclass(one.annotation) and name != "asked"
    }
    groups = {
        group: {
            name: one
            for name, one in inspect.signature(kind, eval_str=True).parameters.items()
            if name not in own or name == group
        }
        for group, kind in kinds.items()
    }

    def command(context: typer.Context, **given: Any) -> None:
        asked = Asked.of(context)
        shown = warnings.showwarning
        warnings.showwarning = lambda message, *rest, **more: shown(
            asked.in_options(str(message)), *rest, **more
        )
        made = {
            group: kinds[group](**{name: given.pop(name) for name in fields})
            for group, fields in groups.items()
        }
        try:
            verb(**made, **given, **({"asked": asked} if "asked" in own else {}))
        except LayerscopeError as error:
            error.args = (asked.in_options(str(error)),)
            raise
        finally:
            warnings.showwarning = shown

    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
    options = (one for name, one in own.items() if name not in groups and name != "asked")
    shared = (one for group in sorted(groups, key="model".__eq__) for one in groups[group].values())
    parameters = [context, *options, *shared]
    keyword_only = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    command.__signature__ = inspect.Signature(keyword_only)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    command.__doc__ = verb.__doc__
    return command


def read_text(text: str | None) -> str:
    """The text as given, or stdin's for - and for none; one newline at its end is not part of it.

    Raises:
        InputError: nothing is given and stdin is a terminal, or it is not UTF-8.
    """
    if text is not None and text != "-":
        return text
    if text is None and sys.stdin.isatty():
        raise InputError("Give a text, or pipe one in: echo 'Seeing is believing.' | layerscope look")
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError as error:
        raise InputError(
            f"The text on stdin is not UTF-8 (at byte {error.start}); convert it first."
        ) from error


def note_empty(text: str, pair: str | None = None) -> None:
    """Say of an empty text that was looked at all the same that it is one."""
    for what, given in (("text", text), ("second text", pair)):
        if given is not None and not given.strip():
            note(f"note: The {what} is empty." if not given else f"note: The {what} has only white space.")
