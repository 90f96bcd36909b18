"""Programs that measure things side by side on this machine and print ratios: `make bench` runs all of them."""
