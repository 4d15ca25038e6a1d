"""Detection: which rows detectors are shown, when, and where their verdicts go. Detectors themselves are pure.

Nothing is imported here: what a run says (`outcomes`) is light, the runs themselves load numpy and more.
"""
