"""What jobs have cost, summed up."""
