"""Faults for the probes to find: each replaces one thing that learns.

To be applied before a learner is made.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from actors import networks
from learner import loss
from meta import meta_learner


class Fault(NamedTuple):
    """How a fault is made, the first probe that fails, and which may too."""

    apply: Callable[[Any], None]  # monkeypatch -> None
    found_by: str
    spoils: tuple[str, ...] = ()


def _replace(owner: Any, name: str, change: Callable[..., Any]):
    """Puts `change` in its place; it is handed the original first."""

    def apply(monkeypatch) -> None:
        original = getattr(owner, name)

        def changed(*args, **kwargs):
            return change(original, *args, **kwargs)

        monkeypatch.setattr(owner, name, changed)

    return apply


def _scaled(term: str, factor: float):
    """That term of the loss times a factor."""

    def change(head_terms, *args):
        terms = head_terms(*args)
        return terms._replace(**{term: factor * getattr(terms, term)})

    return _replace(loss, "_head_terms", change)


def _zero_targets(vtrace, *, v_tm1, **others):
    """All values are to be 0."""
    return vtrace(v_tm1=v_tm1, **others)._replace(targets=0.0 * v_tm1)


def _no_discount(vtrace, *, discount_t, **others):
    """All discounts are 1, but where an episode ends."""
    return vtrace(discount_t=jnp.sign(discount_t), **others)


def _frozen_torso(mlp, *args):
    torso = mlp(*args)
    return lambda observation: jax.lax.stop_gradient(torso(observation))


def _blind_policy(head, self, x, index):
    """The policy's logits are those of constant features."""
    _, value = head(self, x, index)
    logits, _ = head(self, jnp.ones_like(x), index)
    return logits, value


def _ascent(descend, optimiser, state, gradient):
    return descend(optimiser, state, jax.tree.map(jnp.negative, gradient))


_DISCOUNTS = ("discount-rises", "discount-falls")
# They read values, or, where values grow without bound, advantages.
_NEED_VALUES = (
    "observation",
    "delayed",
    "action-and-observation",
    *_DISCOUNTS,
)

FAULTS = {
    "no value loss": Fault(_scaled("value", 0.0), "constant", _NEED_VALUES),
    "values ascend their loss": Fault(
        _scaled("value", -1.0), "constant", _NEED_VALUES
    ),
    "value targets of zero": Fault(
        _replace(loss, "leaky_vtrace", _zero_targets), "constant", _NEED_VALUES
    ),
    "no gradient of the torso": Fault(
        _replace(networks, "mlp", _frozen_torso), "observation"
    ),
    # What the targets do not read has no meta-gradient.
    "targets without a discount": Fault(
        _replace(loss, "leaky_vtrace", _no_discount), "delayed", _DISCOUNTS
    ),
    "no policy loss": Fault(
        _scaled("policy", 0.0), "action", ("action-and-observation",)
    ),
    "advantages of the wrong sign": Fault(
        _scaled("policy", -1.0), "action", ("action-and-observation",)
    ),
    "a policy that sees nothing": Fault(
        _replace(networks.ActorCritic, "_head", _blind_policy),
        "action-and-observation",
    ),
    "meta-gradients are ascended": Fault(
        _replace(meta_learner, "descend", _ascent), "discount-rises", _DISCOUNTS
    ),
}
