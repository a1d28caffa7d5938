"""Which options were given, so that one without effect is refused; and messages in the words of options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import typer

from layerscope.errors import InputError

# Arguments of the library that the command names otherwise.
_OTHERWISE = {"labels": "label", "features": "feature", "groups": "group"}

# A value as it stands behind the name of an argument in a message: 'window', [1, 2], True, 3.
_VALUE = r"'[^']*'|\[[^\]]*\]|-?\w+(?:\.\w+)?"


@dataclass(frozen=True)
class Asked:
    """The options of one call.

    Attributes:
        flags: how each option of the verb is written, by the name of its parameter: "--json" for as_json.
        given: the parameters whose options are on the command line, with whatever value.
    """

    flags: Mapping[str, str]
    given: frozenset[str]

    @classmethod
    def of(cls, context: typer.Context) -> Asked:
        """Those of a call of the command."""
        options = {
            one.name: max(one.opts, key=len)
            for one in context.command.params
            if one.name is not None and one.opts[0].startswith("-")
        }
        sources = {name: context.get_parameter_source(name) for name in options}
        given = frozenset(name for name, source in sources.items() if source and source.name == "COMMANDLINE")
        return cls(options, given)

    def refuse(self, *names: str, why: str) -> None:
        """Raise an `InputError` if one of these options is given; `why` says in which call it has no effect."""
        for name in names:
            if name in self.given:
                raise InputError(f"{self.flags[name]} has no effect {why}; leave it out.")

    def in_options(self, message: str) -> str:
        """A message of the library, which speaks of arguments, in the words of this verb's options.

        >>> asked = Asked({"long": "--long", "k": "-k", "label": "--label"}, frozenset())
        >>> asked.in_options("Give labels=, or use long='cut'.")
        'Give --label, or use --long cut.'
        >>> asked.in_options("k is a whole number, at least 1; not 0.")
        '-k is a whole number, at least 1; not 0.'
        """
        flags = dict(self.flags) | {
            theirs: self.flags[ours] for theirs, ours in _OTHERWISE.items() if ours in self.flags
        }
        names = "|".join(map(re.escape, flags))

        def option(found: re.Match[str]) -> str:
            value = found["value"]
            return (
                flags[found["name"]]
                if value in (None, "True")
                else f"{flags[found['name']]} {_written(value)}"
            )

        message = re.sub(rf"^({names})(?= is | are )", lambda found: flags[found[0]], message)
        return re.sub(rf"\b(?P<name>{names})=(?P<value>{_VALUE})?", option, message)


def names_in(*groups: Any) -> list[str]:
    """The parameters of groups of options, such as `ModelOptions`, for `Asked.refuse`."""
    return [one.name for group in groups for one in fields(group)]


def _written(value: str) -> str:
    """A value as it is written on a command line."""
    if value.startswith("["):
        return value[1:-1].replace(" ", "").replace("'", "")
    return shlex.quote(value.strip("'"))
