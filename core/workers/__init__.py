"""The workers as they report themselves."""
