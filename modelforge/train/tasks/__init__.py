"""What a model is trained for: one class a task, registered under the name that `data.task` gives."""
