"""Plans → what is predicted and measured of how networks start, with the cause of what is wrong: one document."""
