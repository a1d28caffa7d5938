"""What one should know of how a network is read, as sentences: where it is unlike what one is used to."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from layerscope.errors import ModelError
from layerscope.network.network import Network
from layerscope.reduce.layers import listed

if TYPE_CHECKING:
    from layerscope.network.sites import Sites


def notes(model: Network) -> tuple[str, ...]:
    """The sentences, none for most networks."""
    if model.device.type == "meta":
        return ()
    if model.traits.refusal is not None:
        return (model.traits.refusal,)
    sites, company = model.sites(), model.traits.company
    found = []
    if company is not None:
        output, moved = company
        why = f"beside a longer text its {output} differ by {moved:.2g} of the largest value"
        found.append(f"Texts pass one by one: {why if moved < inf else 'it does not run several together'}.")
    return (*found, *_of_report(model, sites), *_of_attention(model))


def _of_report(model: Network, sites: Sites) -> list[str]:
    found = []
    reported = dict.fromkeys(name for (name, _), site in sites.items() if site.is_reported)
    if reported:
        found.append(
            f"{' and '.join(reported)} are read from what {type(model.hf).__name__} reports, since they pass through "
            "none of its modules: every pass runs to the end."
        )
    if any(site.stream is not None for site in sites.values()):
        found.append("Its hidden states are parallel streams, of which the first is shown.")
    return found + [f"{name} is not shown: {why}" for name, why in sites.missing.items()]


def _of_attention(model: Network) -> list[str]:
    try:
        sites = model.sites(attention=True)
    except ModelError as error:
        return [f"Attention is not shown: {error}"]
    found = [f"{name} is not shown: {why}" for name, why in sites.missing.items() if "attentions" in name]
    having = [index + 1 for index in sites.layers("attentions")]
    if 0 < len(having) < model.num_layers:
        found.append(f"Of its layers, these have attention: {listed(having)}.")
    return found
