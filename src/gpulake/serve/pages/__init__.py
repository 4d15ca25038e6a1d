"""Pages, one kind per file: each is a `Page`, found by folder."""
