"""How experience is made: environments, agent, unrolls, the actor pool."""
