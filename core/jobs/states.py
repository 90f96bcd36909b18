"""The states of a job and the only ways between them; docs/job-lifecycle.md tells the story."""

VALIDATING_FILES = "validating_files"  # waits until its files are processed
QUEUED = "queued"  # claimable; this row is the outbox
RUNNING = "running"  # an attempt holds it
PAUSING = "pausing"  # an attempt holds it, and has been asked to checkpoint and stop
PAUSED = "paused"  # waits for a person
SUCCEEDED = "succeeded"  # model and artifacts are published
FAILED = "failed"  # `error` says why
CANCELLED = "cancelled"  # somebody asked

TRANSITIONS: dict[str, frozenset[str]] = {
    VALIDATING_FILES: frozenset({QUEUED, FAILED, CANCELLED}),
    QUEUED: frozenset({RUNNING, PAUSED, FAILED, CANCELLED}),
    RUNNING: frozenset({SUCCEEDED, FAILED, CANCELLED, PAUSING, QUEUED}),
    # The run may end, well or badly, before it has seen the request to pause.
    PAUSING: frozenset({PAUSED, SUCCEEDED, FAILED, CANCELLED}),
    PAUSED: frozenset({QUEUED, CANCELLED}),
    SUCCEEDED: frozenset(),
    FAILED: frozenset(),
    CANCELLED: frozenset(),
}

STATES = frozenset(TRANSITIONS)
TERMINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)
ACTIVE = frozenset({RUNNING, PAUSING})
