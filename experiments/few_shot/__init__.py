"""Few-shot learning (BMG paper, section 6): BMG and MAML on one `meta/`."""
