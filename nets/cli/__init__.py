"""Command lines: flags become a frozen configuration, and one call does the work. The only readers of
flags."""
