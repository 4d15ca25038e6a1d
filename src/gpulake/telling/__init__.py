"""Tellers: what `reading` hands out, as text for a terminal, as mails and as pictures to send. No number is computed here."""
