"""Imported before the proofs are: transformers reads the environment once, and must not ask the hub for anything."""

from trainers import environment

environment.prepare()
