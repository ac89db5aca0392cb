"""What the mount looks like: names, nodes, inodes, timeouts, visibility. Pure: no I/O, no clock, no FUSE type."""
