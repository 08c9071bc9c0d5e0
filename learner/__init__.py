"""How experience becomes parameters."""
