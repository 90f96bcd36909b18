"""Reward functions as data (`core.specs.graders`): check them, and score answers by them. Torch-free.

Used by the API, by training and by evaluation alike. Nothing here holds a key: whoever scores hands in an `Ask`
(`core.specs.asking`) that puts questions to models. What runs code or parses formulas of others does so in processes
that can be killed.
"""
