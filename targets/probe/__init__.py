"""Is it there? Looks at targets from outside, and decides when one is down."""
