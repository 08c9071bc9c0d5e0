"""The Q(lambda) agent whose exploration is meta-learned (section 5.1, K = 0).

Nothing is differentiated through an update: epsilon is reached by the matching
function alone.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import haiku as hk
import jax
import jax.numpy as jnp
import optax

from experiments.gridworld.agent import Rollout
from experiments.gridworld.environment import NUM_ACTIONS, OBSERVATION_SIZE
from experiments.gridworld.schedule import Schedule
from meta.matching import Matching
from meta.update import Metrics, Update

PyTree = Any


class Network(NamedTuple):
    """Action values.

    init: `key -> params`.
    q: `(params, observation [..., O]) -> [..., A]`.
    """

    init: Callable[[jax.Array], PyTree]
    q: Callable[[PyTree, jax.Array], jax.Array]


class TracedState(NamedTuple):
    """An inner state with the eligibility of every parameter."""

    params: PyTree
    opt_state: PyTree
    trace: PyTree  # like params


def make_network(hidden: int) -> Network:
    """Two layers of `hidden` ReLUs."""
    q = hk.without_apply_rng(
        hk.transform(lambda x: hk.nets.MLP([hidden, hidden, NUM_ACTIONS])(x))
    )
    return Network(
        lambda key: q.init(key, jnp.zeros(OBSERVATION_SIZE)), q.apply
    )


def act(network: Network, epsilon: Schedule) -> Callable[..., jax.Array]:
    """Epsilon-greedy: a random action with probability epsilon, else the best.

    The random action may be the best one, so the best has probability
    1 - epsilon + epsilon / A.
    """

    def sample(params, meta_params, observation, context, key) -> jax.Array:
        explore, which = jax.random.split(key)
        q = network.q(params, observation)
        anything = jax.random.randint(which, (), 0, q.shape[-1])
        lost = jax.random.bernoulli(
            explore, epsilon.value(meta_params, context)
        )
        return jnp.where(lost, anything, jnp.argmax(q, axis=-1))

    return sample


def peng_q_lambda(
    network: Network,
    epsilon: Schedule,
    optimiser: optax.GradientTransformation,
    *,
    discount: float,
    trace: float,
) -> Update:
    """One step of Peng's Q(lambda), online, with eligibility traces.

    With v(s) = max_a q(s, a) and one transition (s, a, r, s'):

        e <- discount trace e
        g  = (r + discount v(s') - v(s)) e
             + (r + discount v(s') - q(s, a)) grad q(s, a)
        e <- e + grad q(s, a),   params <- params + optimiser(g).

    Summed over a path under constant parameters, g is the sum of
    (G_t - q(s_t, a_t)) grad q(s_t, a_t) with Peng's returns
    G_t = r_t + discount ((1 - trace) v(s_{t+1}) + trace G_{t+1}).

    Peng and Williams, "Incremental Multi-Step Q-Learning" (1996).

    Args:
      network: the agent's.
      epsilon: reported in the metrics; no update depends on it.
      optimiser: follows -g.
      discount: of the returns.
      trace: lambda.

    Returns:
      An `Update` on roll-outs of one step.
    """

    def init(params: PyTree) -> Any:  # TracedState
        return TracedState(
            params,
            optimiser.init(params),
            jax.tree.map(jnp.zeros_like, params),
        )

    def apply(
        state: Any, meta_params: PyTree, rollout: Rollout
    ) -> tuple[Any, Metrics]:
        before, after = rollout.observation
        action, reward = rollout.action[0], rollout.reward[0]

        def chosen(params):
            q = network.q(params, before)
            return q[action], q

        (q_a, q), gradient = jax.value_and_grad(chosen, has_aux=True)(
            state.params
        )
        goal = reward + discount * jnp.max(network.q(state.params, after))
        faded = jax.tree.map(lambda e: discount * trace * e, state.trace)
        descent = jax.tree.map(
            lambda e, g: -((goal - jnp.max(q)) * e + (goal - q_a) * g),
            faded,
            gradient,
        )
        updates, opt_state = optimiser.update(
            descent, state.opt_state, state.params
        )
        value = epsilon.value(meta_params, rollout.context)
        return TracedState(
            optax.apply_updates(state.params, updates),
            opt_state,
            jax.tree.map(jnp.add, faded, gradient),
        ), {"hyperparam": value, "error": jnp.square(goal - q_a)}

    return Update(init, apply)


def averaged_before(learning_rate: float) -> optax.GradientTransformation:
    """Adam without a first moment, of the moving average of gradients.

    With m and v bias-corrected moving averages of g (0.9) and of m^2 (0.999):
    params <- params - learning_rate m / (sqrt(v) + 1e-4).
    """
    return optax.chain(
        optax.ema(0.9),
        optax.scale_by_rms(
            0.999, eps=1e-4, eps_in_sqrt=False, bias_correction=True
        ),
        optax.scale_by_learning_rate(learning_rate),
    )


def averaged_within(learning_rate: float) -> optax.GradientTransformation:
    """Adam, whose first moment is the moving average of gradients.

    With m and v bias-corrected moving averages of g (0.9) and of g^2 (0.999):
    params <- params - learning_rate m / (sqrt(v) + 1e-4).
    """
    return optax.adam(learning_rate, b1=0.9, eps=1e-4)


def greedy_matching(network: Network, epsilon: Schedule) -> Matching:
    """KL from the bootstrap's greedy policy to the agent's, epsilon-greedy.

    mu = E_s [ -log pi(argmax_a q_x~(s, a) | s) ],  which is, state by state,

    -log(1 - epsilon + epsilon / A) where the greedy action stayed and
    -log(epsilon / A) where it changed. Its minimiser satisfies
    epsilon (1 - 1 / A) = the share of states whose greedy action changed.
    """

    def matching(params, bootstrap_params, meta_params, rollout: Rollout):
        states = rollout.recent
        greedy = jnp.argmax(network.q(params, states), axis=-1)
        bootstrapped = jnp.argmax(network.q(bootstrap_params, states), axis=-1)
        value = epsilon.value(meta_params, rollout.context)
        explored = value / NUM_ACTIONS
        return -jnp.mean(
            jnp.where(
                greedy == bootstrapped,
                jnp.log1p(explored - value),
                jnp.log(explored),
            )
        )

    return matching
