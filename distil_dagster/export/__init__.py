"""The folder that a user takes away, and the proof that it answers as the evaluated model does."""
