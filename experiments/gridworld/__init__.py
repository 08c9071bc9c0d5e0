"""The paper's grid worlds (BMG paper, section 5.1)."""
