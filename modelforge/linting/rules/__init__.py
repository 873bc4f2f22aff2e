"""One file a family of lint rules; each rule is one function with the text of its page."""
