"""The server's rules for training files, for `tunesmith files check`; needs the extra `tunesmith[check]`."""
