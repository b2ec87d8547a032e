"""One module a task type behind one protocol."""
