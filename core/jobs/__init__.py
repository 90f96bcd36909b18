"""Jobs: their states, what clients may ask of them, and what an attempt may write."""
