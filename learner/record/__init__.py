"""What a run leaves on disk, and what it reports while it goes on."""
