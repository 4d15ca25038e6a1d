"""The readers of sources whose text is neither lines of fields nor of JSON. Each is pure: bytes in, frames of rows out."""
