"""Imported by the forkserver, so that its children start warm. Imports only: threads and CUDA do not survive a fork."""

from trainers import environment

environment.prepare()

import trainers.prepare  # noqa: E402
import trainers.supervised  # noqa: E402, F401
