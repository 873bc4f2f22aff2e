"""What people see in the terminal. Facts become rows first, rows become text last; nothing here imports torch."""
