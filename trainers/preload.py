"""Imported by the forkserver, so that its children start warm. Imports only: threads and CUDA do not survive a fork."""

import importlib

from core.specs.method import USABLE_KINDS
from trainers import environment

environment.prepare()

for module in ("prepare", *USABLE_KINDS):  # the methods' names are those of their files
    importlib.import_module(f"trainers.{module}")
