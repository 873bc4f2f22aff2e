"""Models of text: may they look ahead, what a table of pairs already knows, and what the model writes itself."""
