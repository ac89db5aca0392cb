"""The only package that knows pyfuse3: numbers for nodes, errnos for errors, and a session that stays up."""
