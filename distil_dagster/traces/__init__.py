"""From logged conversations to labelled seed examples: formats, splitting, filtering, relabelling."""
