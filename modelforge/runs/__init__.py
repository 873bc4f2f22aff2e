"""What one run folder and one sweep folder hold on disk, and whether a run goes on. Imports no torch."""
