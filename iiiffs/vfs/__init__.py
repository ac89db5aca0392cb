"""What the mount does: trio services that know the Provider protocol, never a concrete provider, and no FUSE type."""
