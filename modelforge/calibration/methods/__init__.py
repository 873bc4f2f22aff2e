"""The calibrations, one file a method."""
