"""Fleet simulators: each writes one source's own format, with the truth beside it."""
