"""The shapes of answers: the contract's fields, and after them ours."""
