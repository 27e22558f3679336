"""The same two models behind what a user would pick instead; each file runs in an environment of its own."""
