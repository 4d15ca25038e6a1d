"""What people read of incidents: a notice of one trouble, and the digest of a day, in text and HTML. Pure; no number is computed."""
