"""Parts of pages, one kind per file: each is a `Part`, found by folder."""
