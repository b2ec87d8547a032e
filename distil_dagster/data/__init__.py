"""What flows through the pipeline: messages, examples, traces, the job description, and their files."""
