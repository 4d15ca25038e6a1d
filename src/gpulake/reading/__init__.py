"""Readers of the Publication: one module per question, each hands out frozen dataclasses and prints nothing.

`report` is what a report shows, `figure` one figure with all that it stands on, `difference` what differs between two
builds, `compiled` the SQL that made a table, `definitions` utilisation as others define it, `export` the tables in other hands.
"""
