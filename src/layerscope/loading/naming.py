"""Weights that are there, but under longer names than the network's: as another program wrapped it when it saved it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from layerscope.errors import CheckpointError


def refuse_longer_names(
    checkpoint: str, missing: Collection[str], stored: Collection[str], body: str, *, within: bool
) -> None:
    """Raise if most of the parameters that are missing are stored with something put into their names.

    (DataParallel puts "module." before each, Lightning "model.", torch.compile "_orig_mod.", wherever the module
    is that was compiled.)

    Args:
        checkpoint: what errors call it.
        missing: names of parameters that the network lacks.
        stored: names of tensors that the checkpoint has and the network has not.
        body: what the network calls its body; names may be stored with or without it.
        within: whether it may be put anywhere, or before names only.

    Raises:
        CheckpointError: it names what was put in, and what to do.
    """
    wanted = {form for name in missing for form in (name, name.removeprefix(f"{body}."), f"{body}.{name}")}
    examples: dict[str, tuple[str, str]] = {}
    found: Counter[str] = Counter()
    for name in sorted(stored):
        for put_in, rest in set(_shortened(name, within)):
            if rest in wanted:
                found[put_in] += 1
                examples.setdefault(put_in, (name, rest))
    if not found:
        return
    put_in = max(found, key=lambda one: (found[one], -len(one)))
    if 2 * found[put_in] < len(missing):
        return
    name, rest = examples[put_in]
    pattern = ("^" if name.startswith(put_in) else "") + put_in.replace(".", r"\.")
    raise CheckpointError(
        f"The weights of {checkpoint} have {put_in!r} in their names, where its network has not: {name} for {rest}. "
        f"Load it with key_mapping={{{pattern!r}: ''}}, or save the weights without it."
    )


def _shortened(name: str, within: bool) -> Iterator[tuple[str, str]]:
    """A name with one run of its parts left out: the run, with its dot, and what remains."""
    parts = name.split(".")
    for start in range(len(parts) - 1 if within else 1):
        for stop in range(start + 1, len(parts)):
            yield ".".join(parts[start:stop]) + ".", ".".join(parts[:start] + parts[stop:])
