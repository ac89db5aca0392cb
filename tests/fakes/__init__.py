"""Stand-ins for the services of the world: real HTTP servers on loopback, true to what was recorded."""
