"""Looking at runs: lists, pages, overlays and films of them."""
