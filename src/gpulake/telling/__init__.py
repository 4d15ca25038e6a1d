"""Tellers: what `reading` hands out, as text for a terminal, as a picture and as one page. No number is computed here."""
