"""What a run leaves on disk, and what is told of it while it goes on."""
